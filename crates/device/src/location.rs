//! Where the server keeps a registration: the Location-Path of its answer, OMA Core 6.2.1.

use coap::{Message, OptionList, OptionNumber};

/// The segments of a Location-Path. The usual `/rd/` and an id of up to 18 characters stand in the
/// value itself, so that a registered device owns no memory for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Location {
    Short { len: u8, bytes: [u8; SHORT_MAX] },
    Long(Box<[u8]>),
}

/// As many bytes as make the value 24 bytes large.
const SHORT_MAX: usize = 22;

impl Location {
    /// Nowhere.
    pub(crate) const EMPTY: Self = Self::Short { len: 0, bytes: [0; SHORT_MAX] };

    /// The Location-Path of an answer.
    pub(crate) fn of(answer: &Message<'_>) -> Self {
        let mut encoded = Vec::new();
        for segment in answer.options.location_path() {
            // An option value is no longer than that: RFC 7252 5.10.
            let Ok(len) = u8::try_from(segment.len()) else { continue };
            encoded.push(len);
            encoded.extend_from_slice(segment);
        }
        let mut bytes = [0; SHORT_MAX];
        match bytes.get_mut(..encoded.len()) {
            Some(place) => {
                place.copy_from_slice(&encoded);
                Self::Short { len: encoded.len() as u8, bytes }
            }
            None => Self::Long(encoded.into()),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.encoded().is_empty()
    }

    /// The segments.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.encoded();
        std::iter::from_fn(move || {
            let (len, tail) = rest.split_first()?;
            let (segment, tail) = tail.split_at_checked(usize::from(*len))?;
            rest = tail;
            Some(segment)
        })
    }

    /// As the Uri-Path of a request.
    pub(crate) fn uri_path(&self) -> OptionList {
        let mut options = OptionList::new();
        self.write_uri_path(&mut options);
        options
    }

    /// The same in the place of other options.
    pub(crate) fn write_uri_path(&self, options: &mut OptionList) {
        options.clear();
        for segment in self.segments() {
            options.push(OptionNumber::URI_PATH, segment);
        }
    }

    /// As text, for people.
    pub(crate) fn text(&self) -> String {
        let segments = self.segments().map(String::from_utf8_lossy);
        segments.map(|segment| format!("/{segment}")).collect()
    }

    fn encoded(&self) -> &[u8] {
        match self {
            Self::Short { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or(bytes),
            Self::Long(bytes) => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use coap::{Code, MessageId, Token, Type};

    use super::*;

    fn location(segments: &[&str]) -> Location {
        let mut options = OptionList::new();
        for segment in segments {
            options.location_path(segment);
        }
        let (kind, code, id) = (Type::Acknowledgement, Code::CREATED, MessageId::new(1));
        let (token, options, payload) = (Token::EMPTY, options.options(), &[][..]);
        Location::of(&Message { kind, code, id, token, options, payload })
    }

    #[test]
    fn a_location_is_kept_whatever_its_length() {
        assert_eq!(size_of::<Location>(), 24);
        let long = "x".repeat(200);
        let rows: [&[&str]; 5] =
            [&[], &["rd", "4XyZ"], &["rd", "123456789012345678"], &["rd", &long], &["a", "", "b"]];
        for segments in rows {
            let location = location(segments);
            let kept: Vec<_> = location.segments().collect();
            let expected: Vec<_> = segments.iter().map(|segment| segment.as_bytes()).collect();
            assert_eq!(kept, expected);
            assert_eq!(location.is_empty(), segments.is_empty());
            let text: String = segments.iter().map(|segment| format!("/{segment}")).collect();
            assert_eq!(location.text(), text);
            assert_eq!(location.uri_path().iter().count(), segments.len());
        }
        assert!(matches!(location(&["rd", "123456789012345678"]), Location::Short { .. }));
    }
}
