//! Geometry against the answers of RethinkDB 2.4.4, and laws that hold for any geometry.
use proptest::prelude::*;
use reql_embedded::datum::{Datum, json};
use reql_embedded::error::ErrorKind;
use reql_embedded::geo::nearest::Nearest;
use reql_embedded::geo::{self, Circle, Ellipsoid, LonLat, Relation, Shape, Unit, geojson, index};

fn at(longitude: f64, latitude: f64) -> LonLat {
    LonLat { longitude, latitude }
}

fn places<const N: usize>(points: [(f64, f64); N]) -> Vec<LonLat> {
    points.into_iter().map(|(longitude, latitude)| at(longitude, latitude)).collect()
}

fn point(longitude: f64, latitude: f64) -> Datum {
    geojson::point(longitude, latitude).unwrap()
}

fn line<const N: usize>(points: [(f64, f64); N]) -> Datum {
    geojson::line(&places(points)).unwrap()
}

fn polygon<const N: usize>(points: [(f64, f64); N]) -> Datum {
    geojson::polygon(&places(points)).unwrap()
}

fn intersects(first: &Datum, second: &Datum) -> bool {
    Relation::Intersects(Shape::of(second).unwrap()).holds(first).unwrap()
}

fn includes(polygon: &Datum, geometry: &Datum) -> bool {
    Relation::Includes(Shape::of(geometry).unwrap()).holds(polygon).unwrap()
}

fn value(text: &str) -> Datum {
    json::parse(text).unwrap()
}

fn message<T: std::fmt::Debug>(result: reql_embedded::error::Result<T>) -> String {
    result.unwrap_err().message().to_owned()
}

#[test]
fn points_have_to_be_on_the_globe() {
    for (longitude, latitude) in [(0., 0.), (0., -90.), (0., 90.), (-180., 0.), (180., 0.)] {
        assert!(geojson::point(longitude, latitude).is_ok());
    }
    assert_eq!(message(geojson::point(0., -91.)), "Latitude must be between -90 and 90.  Got -91.");
    assert_eq!(message(geojson::point(181., 0.)), "Longitude must be between -180 and 180.  Got 181.");
    assert_eq!(message(geojson::point(f64::NAN, 0.)), "Non-finite number: nan");
}

#[test]
fn lines_and_polygons_are_checked() {
    let invalid_line = "Invalid LineString.  Are there antipodal or duplicate vertices?";
    let invalid_ring =
        "Invalid LinearRing.  Are there antipodal or duplicate vertices? Is it self-intersecting?";
    assert_eq!(message(geojson::line(&places([(0., 0.), (0., 0.)]))), invalid_line);
    assert!(geojson::line(&places([(0., 0.), (0., 1.), (0., 0.)])).is_ok());
    assert_eq!(message(geojson::polygon(&places([(0., 0.), (0., 0.), (0., 0.), (0., 0.)]))), invalid_ring);
    assert_eq!(message(geojson::polygon(&places([(0., 0.), (0., 1.), (1., 0.), (-1., 0.5)]))), invalid_ring);
    assert_eq!(
        polygon([(0., 0.), (0., 1.), (1., 0.)]).field("coordinates").unwrap().print(),
        value("[[[0,0],[0,1],[1,0],[0,0]]]").print()
    );
    assert_eq!(
        message(geojson::line(&places([(0., 0.)]))),
        "GeoJSON LineString must have at least two positions."
    );
    assert_eq!(
        message(geojson::polygon(&places([(0., 0.), (1., 1.)]))),
        "GeoJSON LinearRing must have at least four positions."
    );
}

#[test]
fn geojson_is_checked() {
    let cases = [
        (r#"{"coordinates":[[],0],"type":"Point"}"#, "Expected type NUMBER but found ARRAY."),
        (r#"{"coordinates":true,"type":"Point"}"#, "Expected type ARRAY but found BOOL."),
        (r#"{"type":"Point"}"#, "No attribute `coordinates` in object:\n{\n\t\"type\":\t\"Point\"\n}"),
        (r#"{"coordinates":[0,0],"type":"foo"}"#, "Unrecognized GeoJSON type `foo`."),
        (r#"{"coordinates":[0,0],"type":"MultiPoint"}"#, "GeoJSON type `MultiPoint` is not supported."),
        (
            r#"{"coordinates":[0,0],"type":"Point","foo":"wrong"}"#,
            "Unrecognized field `foo` found in geometry object.",
        ),
        (
            r#"{"coordinates":[0,0],"type":"Point","$reql_type$":"GEOMETRY"}"#,
            "GeoJSON object already had a $reql_type$ field.",
        ),
        (
            r#"{"coordinates":[0],"type":"Point"}"#,
            "Too few coordinates.  Need at least longitude and latitude.",
        ),
        (
            r#"{"coordinates":[0,0,0],"type":"Point"}"#,
            "A third altitude coordinate in GeoJSON positions was found, but is not supported.",
        ),
        (
            r#"{"coordinates":[0,0,0,0],"type":"Point"}"#,
            "Too many coordinates.  GeoJSON position should have no more than three coordinates, but got 4.",
        ),
        (
            r#"{"coordinates":[[[0,0],[0,1],[1,0],[1,1]]],"type":"Polygon"}"#,
            "First and last vertex of GeoJSON LinearRing must be identical.",
        ),
        (
            r#"{"coordinates":[[[0,0],[4,0],[4,4],[0,4],[0,0]],[[2,2],[6,2],[6,6],[2,2]]],"type":"Polygon"}"#,
            "Some edges in GeoJSON polygon could not be used.  Are they intersecting?",
        ),
        ("1", "Expected type OBJECT but found NUMBER."),
    ];
    for (text, expected) in cases {
        assert_eq!(message(geojson::from_geojson(&value(text))), expected, "{text}");
    }
    let text = r#"{"coordinates":[0,0],"type":"Point","crs":null,"bbox":[0,0,0,0]}"#;
    let geometry = geojson::from_geojson(&value(text)).unwrap();
    assert!(geometry.is_ptype("GEOMETRY"));
    assert_eq!(
        geojson::to_geojson(&geometry).unwrap().print(),
        value(r#"{"coordinates":[0,0],"crs":null,"type":"Point"}"#).print()
    );
}

#[test]
fn arguments_are_points_or_pairs() {
    assert_eq!(LonLat::of_argument(&value("[1,2]")).unwrap(), at(1., 2.));
    assert_eq!(LonLat::of_argument(&point(1., 2.)).unwrap(), at(1., 2.));
    assert_eq!(
        message(LonLat::of_argument(&value("[1]"))),
        "Expected point coordinate pair.  Got 1 element array instead of a 2 element one."
    );
    assert_eq!(
        message(LonLat::of_argument(&line([(0., 0.), (1., 0.)]))),
        "Expected geometry of type `Point` but found `LineString`."
    );
}

/// Compares two numbers but for their last digits, which depend on the version of the algorithm.
fn assert_near(found: f64, expected: f64) {
    assert!((found - expected).abs() <= expected * 1e-12, "{found} is not {expected}");
}

fn distance(first: &Datum, second: &Datum) -> f64 {
    geo::distance(first, second, Ellipsoid::WGS84).unwrap()
}

#[test]
fn distances_are_those_of_the_ellipsoid() {
    let origin = point(0., 0.);
    assert_near(distance(&point(-122., 37.), &point(-123., 37.)), 89011.26253835332);
    assert_near(distance(&point(-122., 37.), &point(-122., 36.)), 110968.30443995494);
    assert_near(distance(&origin, &point(180., 0.)) * 2., 40007862.917250897);
    assert_near(distance(&point(0., -90.), &point(0., 90.)) * 2., 40007862.917250897);
    let sphere = geo::distance(&point(-122., 37.), &point(-123., 37.), Ellipsoid::UNIT_SPHERE).unwrap();
    assert_near(sphere, 0.01393875509649327);
    assert_eq!(distance(&origin, &line([(0., 0.), (0., 1.)])), 0.);
    assert_eq!(distance(&line([(0.1, 0.), (1., 0.)]), &origin), distance(&origin, &point(0.1, 0.)));
    assert_near(distance(&origin, &line([(5., -1.), (4., 2.)])), 492471.4990055255);
    assert_near(distance(&origin, &polygon([(5., -1.), (4., 2.), (10., 10.)])), 492471.4990055255);
    assert_eq!(distance(&point(0.5, 0.5), &polygon([(0., -1.), (0., 1.), (10., 10.)])), 0.);
    assert_eq!(
        message(geo::distance(&line([(0., 0.), (0., 1.)]), &line([(0., 0.), (0., 1.)]), Ellipsoid::WGS84)),
        "Expected geometry of type `Point` but found `LineString`."
    );
}

#[test]
fn a_pole_is_as_far_from_all_of_the_equator() {
    let quarter = 10_001_965.729_312_7;
    assert_near(distance(&point(0., 90.), &line([(1., 0.), (-33., 0.)])), quarter);
    assert_near(distance(&point(0., -90.), &line([(100., 0.), (110., 0.), (120., 0.)])), quarter);
}

#[test]
fn units_and_ellipsoids_have_names() {
    assert_eq!(Unit::of_option(&Datum::str("mi")).unwrap().to_meters(1.), 1609.344);
    assert_eq!(message(Unit::of_option(&Datum::str("yd"))), "Unrecognized distance unit `yd`.");
    assert_eq!(Ellipsoid::of_option(&value(r#"{"a":1,"f":0}"#)).unwrap(), Ellipsoid::UNIT_SPHERE);
    assert_eq!(
        message(Ellipsoid::of_option(&Datum::str("moon"))),
        "Unrecognized geo system \"moon\" (valid options: \"WGS84\", \"unit_sphere\")."
    );
}

fn around(center: LonLat, radius: f64) -> Circle {
    Circle { center, radius, vertices: 32, ellipsoid: Ellipsoid::WGS84 }
}

#[test]
fn circles_have_corners() {
    let filled = geo::circle(&around(at(0., 0.), 1.), true).unwrap();
    let outline = geo::circle(&around(at(0., 0.), 1.), false).unwrap();
    assert_eq!(geojson::polygon(&geojson::points(&outline).unwrap()).unwrap().print(), filled.print());
    assert_eq!(outline.field("coordinates").unwrap().as_array().unwrap().len(), 33);
    assert_eq!(message(geo::circle(&around(at(0., 0.), 0.), true)), "Radius must be positive");
    assert_eq!(
        message(geo::circle(&around(at(0., 0.), 10_968_937.995_244_589), true)),
        "Radius must be smaller than a quarter of the circumference along the minor axis of the reference \
         ellipsoid.  Got 10968937.995244588703m, but must be smaller than 9985163.1855612862855m."
    );
}

#[test]
fn holes_are_cut_out() {
    let square = polygon([(0., 0.), (1., 0.), (1., 1.), (0., 1.)]);
    let subtract = |hole: &Datum| geo::subtract(&square, hole);
    let hole = polygon([(0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9)]);
    let ring = subtract(&hole).unwrap();
    assert!(!intersects(&ring, &point(0.5, 0.5)));
    assert!(intersects(&ring, &point(0.05, 0.5)));
    assert!(subtract(&polygon([(0., 0.), (0.1, 0.9), (0.9, 0.9), (0.9, 0.1)])).is_ok());
    let outside = "The second argument to `polygon_sub` is not contained in the first one.";
    for points in [
        [(0.1, 0.9), (0.9, 0.0), (0.9, 0.9), (0.1, 0.9)],
        [(0., 0.), (2., 0.), (2., 2.), (0., 2.)],
        [(0., -2.), (1., -2.), (-1., 1.), (0., -1.)],
        [(0., -1.), (1., -1.), (1., 0.), (0., 0.)],
        [(0.1, -1.), (0.9, -1.), (0.9, 0.5), (0.1, 0.5)],
    ] {
        assert_eq!(message(subtract(&polygon(points))), outside);
    }
    assert_eq!(
        message(geo::expect_shell(&ring)),
        "Expected a Polygon with only an outer shell.  This one has holes."
    );
    assert_eq!(
        message(geo::expect_shell(&line([(0., 0.), (1., 0.)]))),
        "Expected a Polygon but found a LineString."
    );
}

#[test]
fn an_empty_polygon_meets_nothing() {
    let empty = geojson::from_geojson(&value(r#"{"coordinates":[],"type":"Polygon"}"#)).unwrap();
    let square = polygon([(0., 0.), (1., 0.), (1., 1.), (0., 1.)]);
    assert!(!intersects(&empty, &square));
    assert!(!intersects(&empty, &point(0., 0.)));
    assert!(!includes(&empty, &line([(0., 0.), (1., 0.)])));
    assert!(includes(&square, &empty));
    assert!(geo::distance(&point(0., 0.), &empty, Ellipsoid::WGS84).is_err());
    assert_eq!(geo::subtract(&square, &empty).unwrap_err().kind(), ErrorKind::NonExistence);
    assert!(index::keys(&empty).unwrap().is_empty());
}

#[test]
fn only_geometries_are_indexed() {
    assert_eq!(message(index::keys(&value("1"))), "Expected geometry but found NUMBER.");
    let keys = index::keys(&polygon([(0., 0.), (10., 0.), (10., 10.), (0., 10.)])).unwrap();
    assert!((1..=8).contains(&keys.len()));
    assert!(keys.iter().all(|key| key.starts_with(b"GC") && key.ends_with(&[0])));
}

/// Returns the geometries that an index over them would find.
fn look_up(geometries: &[Datum], shape: &Shape) -> Vec<usize> {
    let ranges = index::ranges(shape);
    assert!(ranges.iter().all(|(from, to)| from <= to));
    assert!(ranges.windows(2).all(|pair| pair[0].1 < pair[1].0));
    (0..geometries.len())
        .filter(|i| {
            let keys = index::keys(&geometries[*i]).unwrap();
            keys.iter().any(|key| ranges.iter().any(|(from, to)| from <= key && key <= to))
        })
        .filter(|i| shape.intersects(&Shape::of(&geometries[*i]).unwrap()))
        .collect()
}

fn nearest(geometries: &[Datum], mut search: Nearest) -> reql_embedded::error::Result<Vec<(f64, usize)>> {
    let mut results: Vec<(f64, usize)> = Vec::new();
    loop {
        let mut step = Vec::new();
        for i in look_up(geometries, &search.shape()?) {
            let distance = search.reach(&Shape::of(&geometries[i])?)?;
            if results.iter().all(|(_, other)| *other != i) {
                step.extend(distance.map(|distance| (distance, i)));
            }
        }
        step.sort_by(|a, b| a.0.total_cmp(&b.0));
        let found = step.len();
        results.extend(step);
        if !search.advance(found) {
            return Ok(results);
        }
    }
}

#[test]
fn an_index_finds_what_intersects() {
    let rows = [
        point(10., 10.),
        polygon([(0., 0.), (0., 1.), (1., 1.), (1., 0.)]),
        line([(2e-6, -1.), (-1e-6, 1.)]),
    ];
    let count = |query: Datum| look_up(&rows, &Shape::of(&query).unwrap()).len();
    assert_eq!(count(point(0., 0.)), 1);
    assert_eq!(count(point(10., 10.)), 1);
    assert_eq!(count(point(0.5, 0.5)), 1);
    assert_eq!(count(point(20., 20.)), 0);
    assert_eq!(count(polygon([(0., 0.), (1., 0.), (1., 1.), (0., 1.)])), 2);
    assert_eq!(count(line([(0., 0.), (10., 10.)])), 3);
}

#[test]
fn an_index_finds_what_is_near() {
    let rows = [
        point(10., 10.),
        polygon([(0., 0.), (0., 1.), (1., 1.), (1., 0.)]),
        line([(2e-6, -1.), (-1e-6, 1.)]),
    ];
    let search = |center, max| Nearest::new(center, Ellipsoid::WGS84, max, Nearest::MAX_RESULTS);
    let check = |search, expected: &[(f64, usize)]| {
        let found = nearest(&rows, search).unwrap();
        assert_eq!(found.len(), expected.len());
        for ((distance, row), (expected_distance, expected_row)) in found.into_iter().zip(expected) {
            assert_near(distance, *expected_distance);
            assert_eq!(row, *expected_row);
        }
    };
    check(search(at(0., 0.), 1565110.), &[(0., 1), (0.055659745396754216, 2), (1565109.0992178896, 0)]);
    check(search(at(-0.000001, 1.), Nearest::MAX_DISTANCE), &[(0., 2), (0.11130264976984369, 1)]);
    check(
        Nearest::new(at(0., 0.), Ellipsoid::UNIT_SPHERE, 1., 100),
        &[(0., 1), (8.726646259990191e-9, 2), (0.24619691677893205, 0)],
    );
    assert_eq!(
        message(nearest(&rows, search(at(0., 0.), 10000000.))),
        "The distance has become too large for continuing the indexed nearest traversal.  Consider \
         specifying a smaller `max_dist` parameter.  (Radius must be smaller than a quarter of the \
         circumference along the minor axis of the reference ellipsoid.  Got 10968937.995244588703m, but \
         must be smaller than 9985163.1855612862855m.)"
    );
}

/// Returns coordinates that often coincide, meet borders of cells, and are collinear.
fn degrees(limit: i32) -> impl Strategy<Value = f64> {
    prop_oneof![
        3 => (-4..=4).prop_map(f64::from),
        1 => (-limit..=limit).prop_map(f64::from),
        1 => prop::sample::select(vec![0.0, -0.0, 1e-300, 1e-9, f64::from(limit), f64::from(-limit)]),
        1 => -f64::from(limit)..=f64::from(limit),
    ]
}

fn place() -> impl Strategy<Value = LonLat> {
    (degrees(180), degrees(90)).prop_map(|(longitude, latitude)| LonLat { longitude, latitude })
}

fn geometry() -> impl Strategy<Value = Datum> {
    let chain = || prop::collection::vec(place(), 2..6);
    let circle = (place(), 1.0..5e6, 3..80_u32).prop_filter_map("a circle", |(center, radius, vertices)| {
        geo::circle(&Circle { center, radius, vertices, ellipsoid: Ellipsoid::WGS84 }, true).ok()
    });
    prop_oneof![
        place().prop_map(|place| point(place.longitude, place.latitude)),
        chain().prop_filter_map("a line", |points: Vec<LonLat>| geojson::line(&points).ok()),
        chain().prop_filter_map("a polygon", |points: Vec<LonLat>| geojson::polygon(&points).ok()),
        circle,
    ]
}

/// Returns any value that may stand in `coordinates`.
fn nonsense() -> impl Strategy<Value = Datum> {
    let leaf = prop_oneof![
        any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(Datum::Num),
        (-200..200).prop_map(|number| Datum::Num(f64::from(number))),
        Just(Datum::Null),
        Just(Datum::str("x")),
    ];
    leaf.prop_recursive(4, 60, 6, |inner| prop::collection::vec(inner, 0..6).prop_map(Datum::array))
}

proptest! {
    #[test]
    fn intersecting_is_mutual(a in geometry(), b in geometry()) {
        prop_assert_eq!(intersects(&a, &b), intersects(&b, &a));
    }

    #[test]
    fn an_index_misses_nothing(a in geometry(), b in geometry()) {
        let shape = Shape::of(&a).unwrap();
        let expected = shape.intersects(&Shape::of(&b).unwrap());
        prop_assert_eq!(look_up(&[b], &shape).len(), usize::from(expected));
    }

    #[test]
    fn a_polygon_includes_itself(polygon in geometry()) {
        if geo::expect_shell(&polygon).is_ok() {
            prop_assert!(includes(&polygon, &polygon));
        }
    }

    #[test]
    fn a_polygon_includes_what_is_cut_out(a in geometry(), b in geometry()) {
        if geo::expect_shell(&a).is_ok()
            && geo::expect_shell(&b).is_ok()
            && let Ok(rest) = geo::subtract(&a, &b)
        {
            prop_assert!(includes(&a, &rest));
            prop_assert!(!intersects(&rest, &b));
        }
    }

    #[test]
    fn distances_are_finite(center in place(), b in geometry()) {
        let a = point(center.longitude, center.latitude);
        let distance = geo::distance(&a, &b, Ellipsoid::WGS84).unwrap();
        prop_assert!((0.0..3e7).contains(&distance));
    }

    #[test]
    fn nonsense_is_refused_or_understood(
        kind in prop::sample::select(vec!["Point", "LineString", "Polygon", "GeometryCollection"]),
        coordinates in nonsense(),
        other in geometry(),
    ) {
        let geojson = Datum::object([("type", Datum::str(kind)), ("coordinates", coordinates)]);
        if let Ok(geometry) = geojson::from_geojson(&geojson) {
            prop_assert!(Relation::Intersects(Shape::of(&other).unwrap()).holds(&geometry).is_ok());
            prop_assert!(index::keys(&geometry).is_ok());
        }
    }

    #[test]
    fn odd_circles_do_no_harm(
        center in (any::<f64>(), any::<f64>()),
        radius in any::<f64>(),
        equator in any::<f64>(),
        flattening in 0.0..1.0,
        vertices in 1..10_u32,
    ) {
        let ellipsoid = Ellipsoid { equator, flattening };
        let circle = Circle { center: at(center.0, center.1), radius, vertices, ellipsoid };
        drop(geo::circle(&circle, true));
    }
}

/// A quarter of the usual cases: each looks at cells all around the earth.
fn fewer() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig { cases: usual.cases / 4, ..usual }
}

proptest! {
    #![proptest_config(fewer())]

    #[test]
    fn the_nearest_are_found(center in place(), rows in prop::collection::vec(geometry(), 1..5)) {
        let search = Nearest::new(center, Ellipsoid::WGS84, 5e6, 100);
        let center = point(center.longitude, center.latitude);
        let near = |row: &&Datum| geo::distance(&center, row, Ellipsoid::WGS84).unwrap() <= 5e6;
        prop_assert_eq!(nearest(&rows, search).unwrap().len(), rows.iter().filter(near).count());
    }
}
