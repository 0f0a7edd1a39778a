//! Access rules of a listener: which addresses may send datagrams at all.
//!
//! Dropping what they deny is the job of [`crate::shard`].

use std::fmt;
use std::net::IpAddr;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Rules in order: the first that matches decides; an address that none matches is allowed, as in
/// EMQX.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccessRules(Vec<AccessRule>);

impl AccessRules {
    /// Whether datagrams of this address are taken. An IPv4-mapped address is an IPv4 address.
    #[must_use]
    pub fn allow(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let matching = self.0.iter().find(|rule| rule.whom.has(address));
        matching.is_none_or(|rule| rule.verdict == Verdict::Allow)
    }

    /// Whether there are none, so that nothing has to be asked.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }
}

/// One rule: `allow` or `deny`, and whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessRule {
    verdict: Verdict,
    whom: Whom,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Allow,
    Deny,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whom {
    All,
    Network { address: IpAddr, prefix: u8 },
}

impl AccessRule {
    /// Parses `allow all`, `deny 10.0.0.0/8`, `allow 2001:db8::/32`, `deny 192.0.2.1`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (verdict, whom) = text.trim().split_once(char::is_whitespace)?;
        let verdict = match verdict {
            "allow" => Verdict::Allow,
            "deny" => Verdict::Deny,
            _ => return None,
        };
        Some(Self { verdict, whom: Whom::parse(whom.trim())? })
    }
}

impl Whom {
    fn parse(text: &str) -> Option<Self> {
        if text == "all" {
            return Some(Self::All);
        }
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse::<u8>().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let whole = bits(address).1;
        let prefix = prefix.unwrap_or(whole);
        (prefix <= whole).then(|| Self::canonical(address, prefix))
    }

    /// `::ffff:10.0.0.0/104` is `10.0.0.0/8`: addresses are compared as IPv4 where they are.
    fn canonical(address: IpAddr, prefix: u8) -> Self {
        let plain = address.to_canonical();
        match prefix.checked_sub(MAPPED_PREFIX) {
            Some(prefix) if plain.is_ipv4() && address.is_ipv6() => {
                Self::Network { address: plain, prefix }
            }
            _ => Self::Network { address, prefix },
        }
    }

    fn has(self, address: IpAddr) -> bool {
        let Self::Network { address: network, prefix } = self else { return true };
        if network.is_ipv4() != address.is_ipv4() {
            return false;
        }
        let ((ours, width), (theirs, _)) = (bits(network), bits(address));
        let rest = u32::from(width - prefix);
        // Shifting by the whole width, for `/0`, leaves nothing to compare.
        (ours ^ theirs).checked_shr(rest).unwrap_or(0) == 0
    }
}

/// `::ffff:0:0/96` is where IPv4-mapped addresses are (RFC 4291 2.5.5.2).
const MAPPED_PREFIX: u8 = 96;

/// The bits of an address, and how many there are.
fn bits(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    }
}

impl fmt::Display for AccessRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Allow => "allow",
            Verdict::Deny => "deny",
        };
        match self.whom {
            Whom::All => write!(f, "{verdict} all"),
            Whom::Network { address, prefix } => write!(f, "{verdict} {address}/{prefix}"),
        }
    }
}

impl Serialize for AccessRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AccessRule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let unusable = serde::de::Unexpected::Str(&text);
        let expected = &"a rule such as \"allow 10.0.0.0/8\" or \"deny all\"";
        Self::parse(&text).ok_or_else(|| D::Error::invalid_value(unusable, expected))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(texts: &[&str]) -> AccessRules {
        AccessRules(texts.iter().map(|text| AccessRule::parse(text).unwrap()).collect())
    }

    fn allow(rules: &AccessRules, address: &str) -> bool {
        rules.allow(address.parse().unwrap())
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let rules =
            rules(&["deny 10.1.2.3", "allow 10.0.0.0/8", "allow 2001:db8::/32", "deny all"]);
        for (address, allowed) in [
            ("10.1.2.3", false),
            ("10.1.2.4", true),
            ("::ffff:10.1.2.4", true),
            ("::ffff:10.1.2.3", false),
            ("11.0.0.1", false),
            ("2001:db8:1::1", true),
            ("2001:db9::1", false),
        ] {
            assert_eq!(allow(&rules, address), allowed, "{address}");
        }
    }

    #[test]
    fn who_is_not_named_is_allowed() {
        assert!(allow(&AccessRules::default(), "192.0.2.1"));
        assert!(allow(&rules(&["deny 10.0.0.0/8"]), "192.0.2.1"));
    }

    #[test]
    fn a_prefix_of_nothing_is_a_whole_family() {
        let rules = rules(&["deny 0.0.0.0/0"]);
        assert!(!allow(&rules, "192.0.2.1"));
        assert!(allow(&rules, "2001:db8::1"));
        let six = AccessRules(vec![AccessRule::parse("deny ::/0").unwrap()]);
        assert!(!allow(&six, "2001:db8::1"));
        assert!(allow(&six, "192.0.2.1"));
    }

    #[test]
    fn rules_for_mapped_addresses_are_rules_for_ipv4() {
        let rules = rules(&["deny ::ffff:10.0.0.0/104"]);
        assert!(!allow(&rules, "10.200.0.1") && allow(&rules, "11.0.0.1"));
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for text in ["", "allow", "permit all", "deny 10.0.0.0/33", "deny 10.0.0/8", "deny ::1/129"]
        {
            assert_eq!(AccessRule::parse(text), None, "{text}");
        }
        for text in ["allow all", "deny 10.0.0.0/8", "allow 2001:db8::/32"] {
            assert_eq!(AccessRule::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(AccessRule::parse("deny  ::1 ").unwrap().to_string(), "deny ::1/128");
    }
}
