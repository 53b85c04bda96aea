//! Keys of objects: text, and values that have an obvious text.

use serde::Serialize;
use serde::ser::{Error, Impossible, Serializer};

use super::value::Fault;

/// Makes the key of an object of a value.
pub(super) struct ToKey;

type Result = std::result::Result<String, Fault>;

fn no_key() -> Fault {
    Error::custom("the keys of an object are text")
}

macro_rules! texts {
    ($($name:ident $type:ty),*) => { $(
        fn $name(self, value: $type) -> Result {
            Ok(value.to_string())
        }
    )* };
}

macro_rules! refusals {
    ($($name:ident($($type:ty),*) -> $kind:ty;)*) => { $(
        fn $name(self $(, _: $type)*) -> std::result::Result<$kind, Fault> {
            Err(no_key())
        }
    )* };
}

type No = Impossible<String, Fault>;

impl Serializer for ToKey {
    type Ok = String;
    type Error = Fault;
    type SerializeSeq = No;
    type SerializeTuple = No;
    type SerializeTupleStruct = No;
    type SerializeTupleVariant = No;
    type SerializeMap = No;
    type SerializeStruct = No;
    type SerializeStructVariant = No;

    texts!(
        serialize_bool bool,
        serialize_i8 i8,
        serialize_i16 i16,
        serialize_i32 i32,
        serialize_i64 i64,
        serialize_i128 i128,
        serialize_u8 u8,
        serialize_u16 u16,
        serialize_u32 u32,
        serialize_u64 u64,
        serialize_u128 u128,
        serialize_char char,
        serialize_str &str
    );

    refusals! {
        serialize_f32(f32) -> String;
        serialize_f64(f64) -> String;
        serialize_bytes(&[u8]) -> String;
        serialize_none() -> String;
        serialize_unit() -> String;
        serialize_unit_struct(&'static str) -> String;
        serialize_seq(Option<usize>) -> No;
        serialize_tuple(usize) -> No;
        serialize_tuple_struct(&'static str, usize) -> No;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> No;
        serialize_map(Option<usize>) -> No;
        serialize_struct(&'static str, usize) -> No;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> No;
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result {
        Ok(variant.to_owned())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result {
        Err(no_key())
    }
}
