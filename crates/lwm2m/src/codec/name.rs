//! Names of JSON and SenML entries as paths: RFC 8428 4.5.1, OMA Core 7.4.4, 7.4.5.

use super::DecodeError;
use crate::Path;

/// Bytes of a name, base name included. The longest path has 24; more is not a path, and would be
/// read anew for each of thousands of short records.
const NAME_MAX: usize = 64;

/// The ids of a name: one more than a path has, since Wakaama 1.0 writes one too many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Ids {
    ids: [u16; Self::MAX],
    len: usize,
}

impl Ids {
    const MAX: usize = 5;

    /// The ids of a base name and a name that are one text, as in SenML.
    pub(crate) fn concatenated(base: &str, name: &str) -> Result<Self, DecodeError> {
        Self::parse([base, "", name])
    }

    /// The ids of a base name and a name with exactly one slash between them, as in LwM2M JSON.
    pub(crate) fn joined(base: &str, name: &str) -> Result<Self, DecodeError> {
        Self::parse([base.trim_end_matches('/'), "/", name.trim_start_matches('/')])
    }

    fn parse(parts: [&str; 3]) -> Result<Self, DecodeError> {
        const BAD: DecodeError = DecodeError::Malformed("a name is not a path");
        if parts.iter().map(|part| part.len()).sum::<usize>() > NAME_MAX {
            return Err(BAD);
        }
        let mut ids = Self::default();
        // The id that is being read, and whether it has digits yet.
        let mut id = 0_u32;
        let mut digits = false;
        let mut first = true;
        for part in parts {
            for byte in part.bytes() {
                match byte {
                    b'0'..=b'9' => {
                        id = id * 10 + u32::from(byte - b'0');
                        if id >= u32::from(crate::MAX_ID) {
                            return Err(BAD);
                        }
                        digits = true;
                    }
                    b'/' if digits => {
                        ids.push(id).ok_or(BAD)?;
                        (id, digits) = (0, false);
                    }
                    b'/' if first => {}
                    _ => return Err(BAD),
                }
                first = false;
            }
        }
        if digits {
            ids.push(id).ok_or(BAD)?;
        }
        Ok(ids)
    }

    fn push(&mut self, id: u32) -> Option<()> {
        *self.ids.get_mut(self.len)? = u16::try_from(id).ok()?;
        self.len += 1;
        Some(())
    }

    pub(crate) fn as_slice(&self) -> &[u16] {
        self.ids.get(..self.len).unwrap_or(&self.ids)
    }

    /// The path of at most four ids.
    pub(crate) fn path(&self) -> Result<Path, DecodeError> {
        Path::from_ids(self.as_slice())
            .ok_or(DecodeError::Malformed("a name has more than four segments"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_joined_as_text_in_senml_and_by_one_slash_in_json() {
        let concatenated = [
            ("/3/0/", "9", Ok("/3/0/9")),
            ("/3/0", "/9", Ok("/3/0/9")),
            ("/3/0/9", "", Ok("/3/0/9")),
            ("", "/3/0/6/1", Ok("/3/0/6/1")),
            ("", "3/0", Ok("/3/0")),
            ("/3/", "0/", Ok("/3/0")),
            ("/", "", Ok("/")),
            ("", "", Ok("/")),
            ("/3/0/1", "3", Ok("/3/0/13")),
            ("/3/0/", "/9", Err(())),
            ("/3//0", "", Err(())),
            ("//3", "", Err(())),
            ("/3/x", "", Err(())),
            ("/3/65535", "", Err(())),
            ("/3/99999999999", "", Err(())),
            ("/1/2/3/4", "/5", Err(())),
            ("/1/2/3/4/5", "/6", Err(())),
            ("urn:dev:ow:10e2073a01080063", "", Err(())),
        ];
        for (base, name, expected) in concatenated {
            let path = Ids::concatenated(base, name).and_then(|ids| ids.path());
            let path = path.map(|path| path.to_string());
            assert_eq!(path.ok(), expected.ok().map(str::to_owned), "{base} + {name}");
        }
        let joined = [
            ("/3/0/", "/9", "/3/0/9"),
            ("/3/0", "9", "/3/0/9"),
            ("/3/0/9", "", "/3/0/9"),
            ("/3/0//", "//9", "/3/0/9"),
            ("", "/3/0/9", "/3/0/9"),
            ("/", "3/0/9", "/3/0/9"),
        ];
        for (base, name, expected) in joined {
            let path = Ids::joined(base, name).and_then(|ids| ids.path());
            assert_eq!(path.map(|path| path.to_string()), Ok(expected.to_owned()));
        }
    }

    #[test]
    fn a_long_base_name_is_refused_at_once() {
        let long = "/".repeat(1000);
        assert!(Ids::concatenated(&long, "").is_err());
        assert!(Ids::concatenated(&"0".repeat(65), "").is_err());
    }
}
