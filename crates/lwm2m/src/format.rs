//! Content-Format numbers that LwM2M uses: OMA Core 7.4, IANA CoAP Content-Formats.

use core::fmt;

/// A CoAP Content-Format number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Format(pub u16);

impl Format {
    /// `text/plain`.
    pub const TEXT: Self = Self(0);
    /// `application/link-format`, RFC 6690.
    pub const LINK: Self = Self(40);
    /// `application/octet-stream`.
    pub const OCTETS: Self = Self(42);
    /// `application/cbor`: one value.
    pub const CBOR: Self = Self(60);
    /// `application/senml+json`, RFC 8428.
    pub const SENML_JSON: Self = Self(110);
    /// `application/senml+cbor`, RFC 8428.
    pub const SENML_CBOR: Self = Self(112);
    /// `application/senml-etch+json`, RFC 8790.
    pub const SENML_ETCH_JSON: Self = Self(320);
    /// `application/senml-etch+cbor`, RFC 8790.
    pub const SENML_ETCH_CBOR: Self = Self(322);
    /// `application/vnd.oma.lwm2m+tlv`.
    pub const TLV: Self = Self(11542);
    /// `application/vnd.oma.lwm2m+json`, the JSON of LwM2M 1.0.
    pub const JSON: Self = Self(11543);
    /// `application/vnd.oma.lwm2m+cbor` (since LwM2M 1.2).
    pub const LWM2M_CBOR: Self = Self(11544);
    /// Text as numbered before LwM2M 1.0 was final.
    pub const OLD_TEXT: Self = Self(1541);
    /// TLV as numbered before LwM2M 1.0 was final.
    pub const OLD_TLV: Self = Self(1542);
    /// JSON as numbered before LwM2M 1.0 was final.
    pub const OLD_JSON: Self = Self(1543);

    /// The number of today for one of the three old ones; any other number as it is.
    pub const fn normalized(self) -> Self {
        match self {
            Self::OLD_TEXT => Self::TEXT,
            Self::OLD_TLV => Self::TLV,
            Self::OLD_JSON => Self::JSON,
            other => other,
        }
    }

    /// The media type; `None` for a number that LwM2M does not use.
    pub const fn media_type(self) -> Option<&'static str> {
        Some(match self.normalized() {
            Self::TEXT => "text/plain",
            Self::LINK => "application/link-format",
            Self::OCTETS => "application/octet-stream",
            Self::CBOR => "application/cbor",
            Self::SENML_JSON => "application/senml+json",
            Self::SENML_CBOR => "application/senml+cbor",
            Self::SENML_ETCH_JSON => "application/senml-etch+json",
            Self::SENML_ETCH_CBOR => "application/senml-etch+cbor",
            Self::TLV => "application/vnd.oma.lwm2m+tlv",
            Self::JSON => "application/vnd.oma.lwm2m+json",
            Self::LWM2M_CBOR => "application/vnd.oma.lwm2m+cbor",
            _ => return None,
        })
    }
}

/// The number, as it stands in a `ct` attribute.
impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<u16> for Format {
    fn from(number: u16) -> Self {
        Self(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fact 52: the numbers are IANA's, and old clients send 1541 to 1543.
    #[test]
    fn the_numbers_are_those_of_iana_and_old_ones_mean_todays() {
        let cases = [
            (1541, 0, "text/plain"),
            (1542, 11542, "application/vnd.oma.lwm2m+tlv"),
            (1543, 11543, "application/vnd.oma.lwm2m+json"),
            (0, 0, "text/plain"),
            (40, 40, "application/link-format"),
            (42, 42, "application/octet-stream"),
            (60, 60, "application/cbor"),
            (110, 110, "application/senml+json"),
            (112, 112, "application/senml+cbor"),
            (320, 320, "application/senml-etch+json"),
            (322, 322, "application/senml-etch+cbor"),
            (11542, 11542, "application/vnd.oma.lwm2m+tlv"),
            (11543, 11543, "application/vnd.oma.lwm2m+json"),
            (11544, 11544, "application/vnd.oma.lwm2m+cbor"),
        ];
        for (number, normalized, media_type) in cases {
            assert_eq!(Format(number).normalized(), Format(normalized));
            assert_eq!(Format(number).media_type(), Some(media_type));
        }
        assert_eq!(Format(50).media_type(), None);
    }
}
