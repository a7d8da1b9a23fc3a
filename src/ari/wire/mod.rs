//! Pieces that models and events are made of: timestamps, open enumerations, properties nobody named.

mod timestamp;

pub use timestamp::Timestamp;

/// Properties by name, as they came: those a type does not name, and those that are free by nature (channel variables,
/// the body of a user event). Empty costs no allocation.
pub type Extra = serde_json::Map<String, serde_json::Value>;

/// An enumeration of strings that a newer Asterisk may extend: a value not named here is kept in `Unknown`, and encoding
/// gives back exactly what came.
macro_rules! open_enum {
    ($(#[$doc:meta])* pub enum $Name:ident { $( $(#[$variant_doc:meta])* $Variant:ident = $wire:literal, )+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum $Name {
            $( $(#[$variant_doc])* $Variant, )+
            /// A value that is not named here, as it came.
            Unknown(Box<str>),
        }

        impl $Name {
            /// The value as Asterisk writes it.
            pub fn as_str(&self) -> &str {
                match self {
                    $( Self::$Variant => $wire, )+
                    Self::Unknown(value) => value,
                }
            }
        }

        impl From<&str> for $Name {
            fn from(value: &str) -> Self {
                match value {
                    $( $wire => Self::$Variant, )+
                    other => Self::Unknown(other.into()),
                }
            }
        }

        impl std::fmt::Display for $Name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $Name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $Name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                crate::ari::wire::from_str(deserializer, concat!("a ", stringify!($Name)), |value| Self::from(value))
            }
        }
    };
}
pub(super) use open_enum;

/// Decodes a string without keeping a copy of it: `make` sees the borrowed text. `expected` completes "expected ..." in the
/// error when there is no string.
pub(super) fn from_str<'de, D, T>(
    deserializer: D,
    expected: &'static str,
    make: impl FnOnce(&str) -> T,
) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
{
    struct Visitor<F>(&'static str, F);

    impl<T, F: FnOnce(&str) -> T> serde::de::Visitor<'_> for Visitor<F> {
        type Value = T;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(self.0)
        }

        fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<T, E> {
            Ok((self.1)(value))
        }
    }

    deserializer.deserialize_str(Visitor(expected, make))
}
