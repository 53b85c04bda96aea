//! Geometry: GeoJSON objects. Only their form is checked here; their meaning is the business of
//! [`geo`](crate::geo).

use super::REQL_TYPE;
use crate::datum::text::until_nul;
use crate::datum::{Datum, Object};
use crate::error::{Error, Result};

pub(super) fn sanitize(object: Object) -> Result<Datum> {
    for (key, value) in object.iter() {
        match key {
            "coordinates" => drop(value.as_array()?),
            "type" => drop(value.as_str()?),
            "crs" | REQL_TYPE => {}
            _ => {
                return Err(Error::logic(format!(
                    "Unrecognized field `{}` found in geometry object.",
                    until_nul(key)
                )));
            }
        }
    }
    for key in ["type", "coordinates"] {
        if !object.contains_key(key) {
            return Err(Error::missing(format!("Field `{key}` not found in geometry object.")));
        }
    }
    Ok(Datum::Object(object))
}
