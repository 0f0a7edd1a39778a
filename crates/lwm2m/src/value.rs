//! Values and data types of resources: OMA Core Appendix C.
//!
//! How they look on the wire is the job of [`crate::codec`].

/// The value of a resource or resource instance.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// UTF-8 text.
    String(String),
    /// A signed integer of 8 to 64 bits.
    Integer(i64),
    /// An unsigned integer of 8 to 64 bits (since LwM2M 1.1).
    Unsigned(u64),
    /// A floating point number of 32 or 64 bits.
    Float(f64),
    /// True or false.
    Boolean(bool),
    /// Bytes without a meaning of their own.
    Opaque(Vec<u8>),
    /// Seconds since 1970-01-01 00:00 UTC.
    Time(i64),
    /// A link to an object instance: object id, instance id. 65535:65535 is the null link.
    Objlnk(u16, u16),
    /// A list of links in link format (since LwM2M 1.1).
    Corelnk(String),
}

impl Value {
    /// The data type of this value.
    pub const fn value_type(&self) -> DataType {
        match self {
            Self::String(_) => DataType::String,
            Self::Integer(_) => DataType::Integer,
            Self::Unsigned(_) => DataType::Unsigned,
            Self::Float(_) => DataType::Float,
            Self::Boolean(_) => DataType::Boolean,
            Self::Opaque(_) => DataType::Opaque,
            Self::Time(_) => DataType::Time,
            Self::Objlnk(..) => DataType::Objlnk,
            Self::Corelnk(_) => DataType::Corelnk,
        }
    }
}

/// The data type that an object definition gives a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DataType {
    /// [`Value::String`].
    String,
    /// [`Value::Integer`].
    Integer,
    /// [`Value::Unsigned`].
    Unsigned,
    /// [`Value::Float`].
    Float,
    /// [`Value::Boolean`].
    Boolean,
    /// [`Value::Opaque`].
    Opaque,
    /// [`Value::Time`].
    Time,
    /// [`Value::Objlnk`].
    Objlnk,
    /// [`Value::Corelnk`].
    Corelnk,
    /// No value at all: an executable resource.
    None,
}

impl DataType {
    /// Every type with its name in OMA's object definitions.
    const NAMES: [(Self, &'static str); 10] = [
        (Self::String, "String"),
        (Self::Integer, "Integer"),
        (Self::Unsigned, "Unsigned Integer"),
        (Self::Float, "Float"),
        (Self::Boolean, "Boolean"),
        (Self::Opaque, "Opaque"),
        (Self::Time, "Time"),
        (Self::Objlnk, "Objlnk"),
        (Self::Corelnk, "Corelnk"),
        (Self::None, ""),
    ];

    /// The type of this name, spelled as in object definitions; the empty name is
    /// [`DataType::None`].
    pub fn parse(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, known)| *known == name).map(|(data_type, _)| *data_type)
    }

    /// The name as object definitions spell it; empty for [`DataType::None`].
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(data_type, _)| *data_type == self).map_or("", |(_, name)| *name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_the_names_of_object_definitions() {
        for (data_type, name) in DataType::NAMES {
            assert_eq!(DataType::parse(name), Some(data_type));
            assert_eq!(data_type.name(), name);
        }
        for name in ["string", "Unsigned", "Int", " "] {
            assert_eq!(DataType::parse(name), None, "{name:?}");
        }
    }

    #[test]
    fn a_value_knows_its_type() {
        let cases = [
            (Value::String(String::new()), DataType::String),
            (Value::Integer(-1), DataType::Integer),
            (Value::Unsigned(u64::MAX), DataType::Unsigned),
            (Value::Float(0.5), DataType::Float),
            (Value::Boolean(true), DataType::Boolean),
            (Value::Opaque(vec![0]), DataType::Opaque),
            (Value::Time(0), DataType::Time),
            (Value::Objlnk(3, 0), DataType::Objlnk),
            (Value::Corelnk("</3/0>".to_owned()), DataType::Corelnk),
        ];
        for (value, data_type) in cases {
            assert_eq!(value.value_type(), data_type);
        }
    }
}
