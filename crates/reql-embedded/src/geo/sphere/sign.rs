//! The side of a great circle on which a point lies, exactly.

use robust::{Coord, Coord3D, orient2d, orient3d};

use super::vector::Vector;

/// More than the rounding error of a determinant of three unit vectors.
const MAX_DETERMINANT_ERROR: f64 = 1e-15;

/// Returns 1 if the three points turn left, -1 if they turn right, and 0 only if two of them are the same.
///
/// Rotating the points keeps the sign, exchanging two of them inverts it.
pub fn sign(a: Vector, b: Vector, c: Vector) -> i8 {
    let determinant = a.cross(b).dot(c);
    if determinant.abs() > MAX_DETERMINANT_ERROR {
        return sign_of(determinant);
    }
    if a == b || b == c || c == a {
        return 0;
    }
    match exact(a, b, c) {
        0 => perturbed(a, b, c),
        sign => sign,
    }
}

/// Returns true if three points turn left. It is cheap: an answer near zero may be wrong, but no order of the
/// points and its reverse are both left turns.
pub fn roughly_left(a: Vector, b: Vector, c: Vector) -> bool {
    c.cross(a).dot(b) > 0.0
}

/// Returns true if a left turn around `o` that starts at `a` meets `b` before `c`, or together with `a` or
/// `c`. False if `a` and `c` are the same but `b` is not.
pub fn ordered(a: Vector, b: Vector, c: Vector, o: Vector) -> bool {
    let first = sign(b, o, a) >= 0;
    let second = sign(c, o, b) >= 0;
    let third = sign(a, o, c) > 0;
    u8::from(first) + u8::from(second) + u8::from(third) >= 2
}

fn exact(a: Vector, b: Vector, c: Vector) -> i8 {
    let place = |v: Vector| Coord3D { x: v.x, y: v.y, z: v.z };
    sign_of(orient3d(place(a), place(b), place(c), Coord3D { x: 0.0, y: 0.0, z: 0.0 }))
}

/// Returns the sign for collinear points, each of which is imagined to be displaced by an amount of its own:
/// those that come first in lexicographic order by infinitely more than the others (Edelsbrunner and Mücke,
/// "Simulation of Simplicity", ACM Transactions on Graphics, 1990, table 4-ii). The terms are the
/// coefficients of ever smaller displacements.
fn perturbed(mut a: Vector, mut b: Vector, mut c: Vector) -> i8 {
    let mut permutation = 1;
    let mut order = |first: &mut Vector, second: &mut Vector| {
        if first > second {
            std::mem::swap(first, second);
            permutation = -permutation;
        }
    };
    order(&mut a, &mut b);
    order(&mut b, &mut c);
    order(&mut a, &mut b);
    let terms = [
        minor(b.x, c.x, b.y, c.y),
        minor(b.z, c.z, b.x, c.x),
        minor(b.y, c.y, b.z, c.z),
        minor(c.x, a.x, c.y, a.y),
        c.x,
        -c.y,
        minor(c.z, a.z, c.x, a.x),
        c.z,
        minor(a.x, b.x, a.y, b.y),
        -b.x,
        b.y,
        a.x,
        1.0,
    ];
    permutation * terms.into_iter().map(sign_of).find(|sign| *sign != 0).unwrap_or(1)
}

/// Returns a number with the sign of `p * s - q * r`.
fn minor(p: f64, q: f64, r: f64, s: f64) -> f64 {
    orient2d(Coord { x: p, y: r }, Coord { x: q, y: s }, Coord { x: 0.0, y: 0.0 })
}

fn sign_of(value: f64) -> i8 {
    i8::from(value > 0.0) - i8::from(value < 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const X: Vector = Vector::new(1.0, 0.0, 0.0);
    const Y: Vector = Vector::new(0.0, 1.0, 0.0);
    const Z: Vector = Vector::new(0.0, 0.0, 1.0);

    #[test]
    fn sign_is_that_of_the_turn() {
        assert_eq!(sign(X, Y, Z), 1);
        assert_eq!(sign(Z, Y, X), -1);
        assert_eq!(sign(X, X, Z), 0);
        assert_eq!(exact(X, Y, Z), 1);
    }

    #[test]
    fn a_nearly_straight_turn_is_exact() {
        let a = Vector::new(0.725_719_278_770_368_4, 0.460_588_256_058_891, 0.511_067_497_305_048_5);
        let b = Vector::new(0.725_719_274_663_820_8, 0.460_588_265_738_181_7, 0.511_067_494_413_127_4);
        let c = Vector::new(0.725_719_276_717_094_6, 0.460_588_260_898_536_3, 0.511_067_495_859_088);
        assert_eq!(sign(a, b, c), sign(b, c, a));
        assert_eq!(sign(a, b, c), -sign(c, b, a));
        assert_ne!(sign(a, b, c), 0);
    }

    /// Checks collinear points. Each case is decided by another displacement; the order of the points is
    /// lexicographic.
    #[test]
    fn collinear_points_turn_one_way() {
        let cases = [
            ([-3., -1., 0.], [-2., 1., 0.], [1., -2., 0.]),
            ([-6., 3., 3.], [-4., 2., -1.], [-2., 1., 4.]),
            ([0., -1., -1.], [0., 1., -2.], [0., 2., 1.]),
            ([-1., 2., 7.], [2., 1., -4.], [4., 2., -8.]),
            ([-4., -2., 7.], [2., 1., -4.], [4., 2., -8.]),
            ([0., -5., 7.], [0., -4., 8.], [0., -2., 4.]),
            ([-5., -2., 7.], [0., 0., -2.], [0., 0., -1.]),
            ([0., -2., 7.], [0., 0., 1.], [0., 0., 2.]),
        ];
        for (a, b, c) in cases {
            let [a, b, c] = [a, b, c].map(|[x, y, z]| Vector::new(x, y, z));
            assert!(a < b && b < c);
            assert_eq!(perturbed(a, b, c), 1, "{a:?} {b:?} {c:?}");
            assert_eq!(perturbed(b, c, a), 1);
            assert_eq!(perturbed(c, b, a), -1);
        }
    }
}
