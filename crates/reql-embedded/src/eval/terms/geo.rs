//! Geometry: making it, measuring it, and finding rows by it.

use std::sync::Arc;

use super::elements::{self, Elements, NO_RECURSE, Operation};
use crate::datum::{Array, Datum};
use crate::error::{At, Bt, Error, Result};
use crate::eval::geo_index::{GET_INTERSECTING, GeoIndex, Intersecting};
use crate::eval::{Arity, Call, Determinism, Grouping, Spec, Stream, TableRef, Val, Value};
use crate::geo::nearest::Nearest;
use crate::geo::{self, Circle, Ellipsoid, LonLat, Relation, Shape, Unit, geojson};
use crate::term::TermType;

const SYSTEM_AND_UNIT: &[&str] = &["geo_system", "unit"];
const CIRCLE: &[&str] = &["geo_system", "unit", "fill", "num_vertices"];
const NEAREST: &[&str] = &["index", "max_results", "max_dist", "geo_system", "unit"];

/// The terms of this family. Rounding may differ between machines, so few of them count as deterministic.
pub const TERMS: &[Spec] = &[
    Spec::new(TermType::Geojson, Arity::exactly(1), from_geojson).determinism(Determinism::ONE_SERVER),
    Spec::new(TermType::ToGeojson, Arity::exactly(1), to_geojson),
    Spec::new(TermType::Point, Arity::exactly(2), point),
    Spec::new(TermType::Line, Arity::at_least(2), line).determinism(Determinism::ONE_SERVER),
    Spec::new(TermType::Polygon, Arity::at_least(3), polygon).determinism(Determinism::ONE_SERVER),
    Spec::new(TermType::PolygonSub, Arity::exactly(2), polygon_sub).determinism(Determinism::ONE_SERVER),
    Spec::new(TermType::Fill, Arity::exactly(1), fill).determinism(Determinism::ONE_SERVER),
    Spec::new(TermType::Circle, Arity::exactly(2), circle)
        .optargs(CIRCLE)
        .determinism(Determinism::ONE_SERVER),
    Spec::new(TermType::Distance, Arity::exactly(2), distance)
        .optargs(SYSTEM_AND_UNIT)
        .determinism(Determinism::ONE_SERVER),
    Spec::new(TermType::Intersects, Arity::exactly(2), |call| {
        relation(call, Relation::Intersects, |_| Ok(()))
    })
    .optargs(NO_RECURSE)
    .grouping(Grouping::Stream)
    .determinism(Determinism::ONE_SERVER),
    Spec::new(TermType::Includes, Arity::exactly(2), |call| {
        relation(call, Relation::Includes, geo::expect_polygon)
    })
    .optargs(NO_RECURSE)
    .grouping(Grouping::Stream)
    .determinism(Determinism::ONE_SERVER),
    Spec::new(TermType::GetIntersecting, Arity::exactly(2), get_intersecting)
        .optargs(&["index"])
        .determinism(Determinism::ONE_SERVER),
    Spec::new(TermType::GetNearest, Arity::exactly(2), get_nearest)
        .optargs(NEAREST)
        .determinism(Determinism::ONE_SERVER),
];

/// Returns an argument that must be a geometry, and is to blame if it isn't.
fn geometry(call: &mut Call<'_>, index: usize) -> Result<(Datum, Bt)> {
    let (datum, bt) = call.placed(index)?;
    geojson::expect(&datum).at(bt)?;
    Ok((datum, bt))
}

fn from_geojson(call: &mut Call<'_>) -> Result<Val> {
    let geojson = call.datum(0)?;
    Ok(call.val(geojson::from_geojson(&geojson)?))
}

fn to_geojson(call: &mut Call<'_>) -> Result<Val> {
    let (geometry, _) = geometry(call, 0)?;
    Ok(call.val(geojson::to_geojson(&geometry)?))
}

fn point(call: &mut Call<'_>) -> Result<Val> {
    let longitude = call.num(0)?;
    let latitude = call.num(1)?;
    call.env.limits.check_array(2)?;
    Ok(call.val(geojson::point(longitude, latitude)?))
}

fn points(call: &mut Call<'_>) -> Result<Vec<LonLat>> {
    (0..call.len()).map(|index| LonLat::of_argument(&call.datum(index)?)).collect()
}

fn line(call: &mut Call<'_>) -> Result<Val> {
    let points = points(call)?;
    check_size(call, points.len())?;
    Ok(call.val(geojson::line(&points)?))
}

fn polygon(call: &mut Call<'_>) -> Result<Val> {
    let points = points(call)?;
    polygon_of(call, &points)
}

fn fill(call: &mut Call<'_>) -> Result<Val> {
    let (line, _) = geometry(call, 0)?;
    polygon_of(call, &geojson::points(&line)?)
}

fn polygon_of(call: &Call<'_>, shell: &[LonLat]) -> Result<Val> {
    check_size(call, shell.len() + usize::from(geojson::is_open(shell)))?;
    Ok(call.val(geojson::polygon(shell)?))
}

/// Fails if a list of `points` points, each an array too, is over the array limit.
fn check_size(call: &Call<'_>, points: usize) -> Result<()> {
    call.env.limits.check_array(points.max(2))
}

fn polygon_sub(call: &mut Call<'_>) -> Result<Val> {
    let (polygon, bt) = geometry(call, 0)?;
    geo::expect_shell(&polygon).at(bt)?;
    let (hole, bt) = geometry(call, 1)?;
    geo::expect_shell(&hole).at(bt)?;
    let left = geo::subtract(&polygon, &hole)?;
    let rings = left.field("coordinates")?;
    let longest = rings.as_array()?.iter().map(|ring| ring.as_array().map_or(0, Array::len)).max();
    check_size(call, rings.as_array()?.len().max(longest.unwrap_or_default()))?;
    Ok(call.val(left))
}

fn ellipsoid(call: &Call<'_>) -> Result<Ellipsoid> {
    let Some(option) = call.optarg("geo_system")? else { return Ok(Ellipsoid::WGS84) };
    let bt = option.bt;
    let option = option.into_datum()?;
    if let Datum::Object(_) = option {
        // A missing parameter blames the term; a wrong one blames the option.
        for parameter in ["a", "f"] {
            option.field(parameter)?.as_num()?;
        }
    }
    Ellipsoid::of_option(&option).at(bt)
}

fn unit(call: &Call<'_>) -> Result<Unit> {
    let Some(option) = call.optarg("unit")? else { return Ok(Unit::Meter) };
    Unit::of_option(&Datum::from(option.into_str()?))
}

fn circle(call: &mut Call<'_>) -> Result<Val> {
    let (center, radius) = (call.arg(0)?, call.arg(1)?);
    let fill = call.optarg("fill")?.map(Val::into_bool).transpose()?.unwrap_or(true);
    let vertices = vertices(call)?;
    let ellipsoid = ellipsoid(call)?;
    let unit = unit(call)?;
    let center = LonLat::of_argument(&center.into_datum()?)?;
    let radius = unit.to_meters(radius.into_num()?);
    let circle = Circle { center, radius, vertices, ellipsoid };
    circle.check_radius()?;
    check_size(call, vertices as usize + 1)?;
    Ok(call.val(geo::circle(&circle, fill)?))
}

fn vertices(call: &Call<'_>) -> Result<u32> {
    let Some(option) = call.optarg("num_vertices")? else { return Ok(32) };
    let bt = option.bt;
    let count = option.into_int()?;
    match u32::try_from(count) {
        Ok(0) => Err(Error::logic("num_vertices must be positive.").at(bt)),
        Ok(count) => Ok(count),
        Err(_) => Err(Error::logic(format!("Integer too large: {count}")).at(bt)),
    }
}

fn distance(call: &mut Call<'_>) -> Result<Val> {
    let (first, second) = (call.arg(0)?, call.arg(1)?);
    let (ellipsoid, unit) = (ellipsoid(call)?, unit(call)?);
    let (first, bt) = first.into_placed()?;
    geojson::expect(&first).at(bt)?;
    first.field("type")?.as_str()?;
    let (second, bt) = second.into_placed()?;
    geojson::expect(&second).at(bt)?;
    let meters = geo::distance(&first, &second, ellipsoid)?;
    Ok(call.val(Datum::num(unit.from_meters(meters))?))
}

/// Computes a relation of a geometry, or of each geometry of a sequence, to another one. A single geometry is
/// checked before the other one.
fn relation(
    call: &mut Call<'_>,
    relation: fn(Shape) -> Relation,
    check: fn(&Datum) -> Result<()>,
) -> Result<Val> {
    let first = call.arg(0)?;
    let operation = |(other, bt): (Datum, Bt)| {
        geojson::expect(&other).at(bt)?;
        Ok(Operation::Relation(relation(Shape::of(&other)?)))
    };
    let on_object = |call: &mut Call<'_>, geometry: &Datum| {
        let other = call.placed(1)?;
        check(geometry)?;
        operation(other)?.apply(call.env, geometry)
    };
    elements::apply_or(call, first, Elements::Filter, on_object, |call| operation(call.placed(1)?))
}

/// Returns the index to search in a table, for a term of this name.
fn searched(call: &Call<'_>, table: &TableRef, term: &str) -> Result<Arc<str>> {
    let Some(index) = call.optarg("index")? else {
        return Err(call.fail(format!("{term} requires an index argument.")));
    };
    let index = index.into_str()?;
    if index == *table.primary_key() {
        return Err(call.fail(format!("{term} cannot use the primary index.")));
    }
    Ok(index)
}

fn get_intersecting(call: &mut Call<'_>) -> Result<Val> {
    let table = call.arg(0)?.into_table()?;
    let (query, bt) = call.placed(1)?;
    let index = searched(call, &table, GET_INTERSECTING)?;
    let shape = Shape::of(geojson::expect(&query).at(bt)?)?;
    let rows = Intersecting::new(call.env, table.clone(), index, shape)?;
    Ok(Val { value: Value::Selection(table, Stream::new(rows, call.bt())), bt: call.bt() })
}

fn get_nearest(call: &mut Call<'_>) -> Result<Val> {
    const NAME: &str = "get_nearest";
    let table = call.arg(0)?.into_table()?;
    let center = call.datum(1)?;
    let index = searched(call, &table, NAME)?;
    let center = LonLat::of_argument(&center)?;
    let (ellipsoid, unit) = (ellipsoid(call)?, unit(call)?);
    let max_distance = max_distance(call, unit)?;
    let max_results = max_results(call)?;
    let search = Nearest::new(center, ellipsoid, max_distance, max_results);
    let found = GeoIndex::open(call.env, &table, index, NAME)?.nearest(call.env, search).at(Bt::default())?;
    let rows = found.into_iter().map(|(meters, row)| {
        Ok(Datum::object([("dist", Datum::num(unit.from_meters(meters))?), ("doc", row)]))
    });
    call.array(rows.collect::<Result<_>>()?)
}

fn max_distance(call: &Call<'_>, unit: Unit) -> Result<f64> {
    let Some(option) = call.optarg("max_dist")? else { return Ok(Nearest::MAX_DISTANCE) };
    let bt = option.bt;
    let meters = unit.to_meters(option.into_num()?);
    if meters > 0.0 { Ok(meters) } else { Err(Error::logic("max_dist must be positive.").at(bt)) }
}

fn max_results(call: &Call<'_>) -> Result<usize> {
    let Some(option) = call.optarg("max_results")? else { return Ok(Nearest::MAX_RESULTS) };
    let bt = option.bt;
    let count = option.into_int()?;
    if count > 0 {
        Ok(usize::try_from(count).unwrap_or(usize::MAX))
    } else {
        Err(Error::logic("max_results must be positive.").at(bt))
    }
}
