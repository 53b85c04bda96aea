//! Values that JSON has no form for, both ways, and the answers of writes and feeds.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The field that sets these values apart from objects.
const TYPE: &str = "$reql_type$";

/// Bytes: the pseudo-type `BINARY`.
///
/// ```
/// use reql::types::Binary;
///
/// let json = serde_json::to_string(&Binary(b"abc".to_vec()))?;
/// assert_eq!(json, r#"{"$reql_type$":"BINARY","data":"YWJj"}"#);
/// assert_eq!(serde_json::from_str::<Binary>(&json)?.0, b"abc");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Binary(pub Vec<u8>);

impl fmt::Debug for Binary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<binary, {} bytes>", self.0.len())
    }
}

impl From<Vec<u8>> for Binary {
    fn from(bytes: Vec<u8>) -> Self {
        Binary(bytes)
    }
}

/// A value with its type's name, as it is on the wire.
#[derive(Serialize, Deserialize)]
struct Typed<T> {
    #[serde(rename = "$reql_type$")]
    name: String,
    #[serde(flatten)]
    value: T,
}

impl<T> Typed<T> {
    fn new(name: &str, value: T) -> Self {
        Typed { name: name.to_owned(), value }
    }

    fn of<E: serde::de::Error>(self, name: &str) -> Result<T, E> {
        if self.name == name {
            return Ok(self.value);
        }
        Err(E::custom(format_args!("expected `{TYPE}` to be {name}, but found {}", self.name)))
    }
}

#[derive(Serialize, Deserialize)]
struct Data<T> {
    data: T,
}

impl Serialize for Binary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Typed::new("BINARY", Data { data: BASE64_STANDARD.encode(&self.0) }).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Binary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let data: Data<String> = Typed::deserialize(deserializer)?.of("BINARY")?;
        // RethinkDB breaks lines after 76 characters.
        let text: Vec<u8> = data.data.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        BASE64_STANDARD.decode(text).map(Binary).map_err(D::Error::custom)
    }
}

/// A moment with its timezone: the pseudo-type `TIME`, whose precision is a millisecond.
///
/// With the feature `chrono`, it is made from and becomes `chrono::DateTime`.
///
/// ```
/// use reql::types::Time;
///
/// let time = Time::new(1446539400.5, "+02:00");
/// let json = serde_json::to_string(&time)?;
/// assert_eq!(json, r#"{"$reql_type$":"TIME","epoch_time":1446539400.5,"timezone":"+02:00"}"#);
/// assert_eq!(serde_json::from_str::<Time>(&json)?, time);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Time {
    /// The seconds since 1970.
    pub epoch_time: f64,
    /// `Z`, or hours and minutes such as `+02:00`.
    pub timezone: String,
}

#[derive(Serialize, Deserialize)]
struct TimeFields {
    epoch_time: f64,
    #[serde(default = "utc")]
    timezone: String,
}

fn utc() -> String {
    "+00:00".to_owned()
}

impl Time {
    /// Makes a time of seconds since 1970 and a timezone.
    pub fn new(epoch_time: f64, timezone: impl Into<String>) -> Self {
        Time { epoch_time, timezone: timezone.into() }
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = TimeFields { epoch_time: self.epoch_time, timezone: self.timezone.clone() };
        Typed::new("TIME", fields).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let TimeFields { epoch_time, timezone } = Typed::deserialize(deserializer)?.of("TIME")?;
        Ok(Time { epoch_time, timezone })
    }
}

/// Longitude and latitude, in degrees.
///
/// ```
/// use reql::types::Position;
///
/// let oslo: Position = [10.74, 59.91];
/// # let _ = oslo;
/// ```
pub type Position = [f64; 2];

/// A geometry: the pseudo-type `GEOMETRY`, which is GeoJSON.
///
/// ```
/// use reql::types::Geometry;
///
/// let json = serde_json::to_string(&Geometry::Point([2.0, 49.0]))?;
/// assert_eq!(json, r#"{"$reql_type$":"GEOMETRY","type":"Point","coordinates":[2.0,49.0]}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum Geometry {
    /// A point.
    Point(Position),
    /// A line of at least two points.
    Line(Vec<Position>),
    /// A polygon: its closed outline, and those of its holes.
    Polygon(Vec<Vec<Position>>),
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", content = "coordinates")]
enum GeoJson {
    Point(Position),
    LineString(Vec<Position>),
    Polygon(Vec<Vec<Position>>),
}

impl Serialize for Geometry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let json = match self {
            Geometry::Point(at) => GeoJson::Point(*at),
            Geometry::Line(points) => GeoJson::LineString(points.clone()),
            Geometry::Polygon(lines) => GeoJson::Polygon(lines.clone()),
        };
        Typed::new("GEOMETRY", json).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Geometry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Typed::deserialize(deserializer)?.of("GEOMETRY")? {
            GeoJson::Point(at) => Geometry::Point(at),
            GeoJson::LineString(points) => Geometry::Line(points),
            GeoJson::Polygon(lines) => Geometry::Polygon(lines),
        })
    }
}

/// Groups and their values: the pseudo-type `GROUPED_DATA`, which `group` without `ungroup` makes.
///
/// ```
/// use reql::types::Grouped;
///
/// let json = r#"{"$reql_type$":"GROUPED_DATA","data":[["Paris",2],["Rome",1]]}"#;
/// let cities: Grouped<String, u32> = serde_json::from_str(json)?;
/// assert_eq!(cities.0[0], ("Paris".to_owned(), 2));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Grouped<G, V>(pub Vec<(G, V)>);

impl<'de, G: DeserializeOwned, V: DeserializeOwned> Deserialize<'de> for Grouped<G, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let data: Data<Vec<(G, V)>> = Typed::deserialize(deserializer)?.of("GROUPED_DATA")?;
        Ok(Grouped(data.data))
    }
}

/// A row of a changefeed.
///
/// ```
/// use reql::types::Change;
///
/// let change: Change<u32> = serde_json::from_str(r#"{"old_val":null,"new_val":1}"#)?;
/// assert_eq!((change.old_val, change.new_val), (None, Some(1)));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct Change<T> {
    /// The row before; none when it is new.
    #[serde(default = "none")]
    pub old_val: Option<T>,
    /// The row after; none when it is gone.
    #[serde(default = "none")]
    pub new_val: Option<T>,
    /// With `include_states`: `"initializing"` or `"ready"`, in a row that is no change.
    #[serde(default)]
    pub state: Option<String>,
    /// With `include_types`: `"initial"`, `"uninitial"`, `"add"`, `"remove"`, `"change"` or `"state"`.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
    /// With `include_offsets`: the row's old position.
    #[serde(default)]
    pub old_offset: Option<u64>,
    /// With `include_offsets`: the row's new position.
    #[serde(default)]
    pub new_offset: Option<u64>,
    /// An error of the feed, for example that changes were left out.
    #[serde(default)]
    pub error: Option<String>,
}

/// The outcome of a write.
///
/// ```
/// use reql::types::Written;
///
/// let written: Written = serde_json::from_str(r#"{"inserted":1,"errors":0}"#)?;
/// assert_eq!((written.inserted, written.deleted), (1, 0));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct Written<T = serde_json::Value> {
    /// The number of documents that were inserted.
    #[serde(default)]
    pub inserted: u64,
    /// The number of documents that were changed.
    #[serde(default)]
    pub replaced: u64,
    /// The number of documents that the write left as they were.
    #[serde(default)]
    pub unchanged: u64,
    /// The number of documents that were deleted.
    #[serde(default)]
    pub deleted: u64,
    /// The number of documents that didn't exist.
    #[serde(default)]
    pub skipped: u64,
    /// The number of writes that failed.
    #[serde(default)]
    pub errors: u64,
    /// The error of the first write that failed.
    #[serde(default)]
    pub first_error: Option<String>,
    /// The primary keys that the server made.
    #[serde(default)]
    pub generated_keys: Vec<String>,
    /// With `return_changes`: the documents before and after.
    #[serde(default = "Vec::new")]
    pub changes: Vec<Change<T>>,
    /// The server's warnings.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// Returns `None`, without the bound on `T` that `Default` has.
fn none<T>() -> Option<T> {
    None
}

#[cfg(feature = "chrono")]
mod calendar {
    use chrono::{DateTime, FixedOffset, TimeZone, Utc};

    use super::{Time, utc};

    impl<Z: TimeZone> From<DateTime<Z>> for Time {
        fn from(time: DateTime<Z>) -> Self {
            let offset = time.fixed_offset().format("%:z").to_string();
            // RethinkDB has whole minutes, and no such name for none.
            let offset = if offset == "-00:00" { utc() } else { offset };
            // Milliseconds are exact in a double for 285,000 years, and are what RethinkDB rounds to.
            let milliseconds = (time.timestamp_micros() + 500).div_euclid(1000);
            Time::new(milliseconds as f64 / 1000.0, offset)
        }
    }

    /// Fails for a timezone or a year that chrono doesn't have.
    impl TryFrom<&Time> for DateTime<FixedOffset> {
        type Error = String;

        fn try_from(time: &Time) -> Result<Self, String> {
            let offset = match time.timezone.as_str() {
                "Z" => Ok(FixedOffset::east_opt(0)),
                other => other.parse::<FixedOffset>().map(Some),
            };
            let offset = offset.ok().flatten().ok_or_else(|| format!("no timezone: {}", time.timezone))?;
            let milliseconds = (time.epoch_time * 1000.0).round();
            // A cast saturates, and chrono has no such years.
            Some(milliseconds as i64)
                .filter(|_| milliseconds.is_finite())
                .and_then(DateTime::<Utc>::from_timestamp_millis)
                .map(|utc| utc.with_timezone(&offset))
                .ok_or_else(|| format!("no time: {}", time.epoch_time))
        }
    }
}
