//! Vectors in space, of which those of length one are the points of the sphere.

use std::cmp::Ordering;
use std::ops::{Add, Mul, Neg, Sub};

/// A point on the unit sphere, or a direction. Its coordinates are finite; they are ordered
/// lexicographically.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Vector {
    /// Towards latitude 0, longitude 0.
    pub x: f64,
    /// Towards latitude 0, longitude 90.
    pub y: f64,
    /// Towards the north pole.
    pub z: f64,
}

impl Vector {
    /// Returns the vector with these coordinates.
    pub const fn new(x: f64, y: f64, z: f64) -> Self {
        Vector { x, y, z }
    }

    /// Returns the point at this place, in degrees.
    pub fn from_degrees(longitude: f64, latitude: f64) -> Self {
        let (theta, phi) = (longitude * RADIANS_PER_DEGREE, latitude * RADIANS_PER_DEGREE);
        Vector::new(theta.cos() * phi.cos(), theta.sin() * phi.cos(), phi.sin())
    }

    /// Returns the degrees east of Greenwich.
    pub fn longitude(self) -> f64 {
        self.y.atan2(self.x) * DEGREES_PER_RADIAN
    }

    /// Returns the degrees north of the equator.
    pub fn latitude(self) -> f64 {
        self.z.atan2((self.x * self.x + self.y * self.y).sqrt()) * DEGREES_PER_RADIAN
    }

    /// Returns the scalar product.
    pub fn dot(self, other: Vector) -> f64 {
        self.x * other.x + self.y * other.y + self.z * other.z
    }

    /// Returns the vector product.
    pub fn cross(self, other: Vector) -> Vector {
        Vector::new(
            self.y * other.z - self.z * other.y,
            self.z * other.x - self.x * other.z,
            self.x * other.y - self.y * other.x,
        )
    }

    /// Returns the square of the length.
    pub fn norm2(self) -> f64 {
        self.dot(self)
    }

    /// Returns the length.
    pub fn norm(self) -> f64 {
        self.norm2().sqrt()
    }

    /// Returns the point of the sphere in this direction; zero stays zero.
    pub fn normalized(self) -> Vector {
        let norm = self.norm();
        if norm == 0.0 { self } else { self * (1.0 / norm) }
    }

    /// Returns true if the length is one, up to the rounding of a point made from degrees.
    pub fn is_unit(self) -> bool {
        (self.norm2() - 1.0).abs() <= 1e-15
    }

    /// Returns the angle between two vectors, in radians.
    pub fn angle(self, other: Vector) -> f64 {
        self.cross(other).norm().atan2(self.dot(other))
    }

    /// Returns the coordinates by number.
    pub fn coordinates(self) -> [f64; 3] {
        [self.x, self.y, self.z]
    }

    /// Returns the number of the coordinate that is largest in magnitude.
    pub fn largest_axis(self) -> usize {
        let (x, y, z) = (self.x.abs(), self.y.abs(), self.z.abs());
        if x > y {
            if x > z { 0 } else { 2 }
        } else if y > z {
            1
        } else {
            2
        }
    }

    /// Returns a point at a right angle, the same one each time: the direction from which the edges around a
    /// vertex are counted.
    pub fn ortho(self) -> Vector {
        let arbitrary = match self.largest_axis() {
            0 => Vector::new(0.012, 0.0053, 1.0),
            1 => Vector::new(1.0, 0.0053, 0.00457),
            _ => Vector::new(0.012, 1.0, 0.00457),
        };
        self.cross(arbitrary).normalized()
    }

    /// Returns twice the vector product of two points, accurate even if they nearly coincide or are nearly
    /// antipodal; never zero.
    pub fn robust_cross(self, other: Vector) -> Vector {
        let product = (other + self).cross(other - self);
        if product == Vector::new(0.0, 0.0, 0.0) { self.ortho() } else { product }
    }
}

const RADIANS_PER_DEGREE: f64 = std::f64::consts::PI / 180.0;
const DEGREES_PER_RADIAN: f64 = 180.0 / std::f64::consts::PI;

impl Add for Vector {
    type Output = Vector;
    fn add(self, other: Vector) -> Vector {
        Vector::new(self.x + other.x, self.y + other.y, self.z + other.z)
    }
}

impl Sub for Vector {
    type Output = Vector;
    fn sub(self, other: Vector) -> Vector {
        Vector::new(self.x - other.x, self.y - other.y, self.z - other.z)
    }
}

impl Neg for Vector {
    type Output = Vector;
    fn neg(self) -> Vector {
        Vector::new(-self.x, -self.y, -self.z)
    }
}

impl Mul<f64> for Vector {
    type Output = Vector;
    fn mul(self, factor: f64) -> Vector {
        Vector::new(self.x * factor, self.y * factor, self.z * factor)
    }
}

impl Eq for Vector {}

impl Ord for Vector {
    // `total_cmp` would tell 0 from -0, which are one place.
    fn cmp(&self, other: &Vector) -> Ordering {
        self.coordinates().partial_cmp(&other.coordinates()).unwrap_or(Ordering::Equal)
    }
}

impl PartialOrd for Vector {
    fn partial_cmp(&self, other: &Vector) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
