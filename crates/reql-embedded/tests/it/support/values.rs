//! Random values: of every type, of sizes around those at which their bytes change, and with parts that are
//! shared.

use rand::Rng;
use rand::rngs::StdRng;
use reql_embedded::datum::{Datum, ObjectBuilder, pseudo};

/// Makes values, always the same ones for the same seed.
pub struct Values(StdRng);

/// A value, and the number of bytes that it takes when packed.
pub type Sized = (Datum, u128);

impl Values {
    pub fn new(random: StdRng) -> Self {
        Values(random)
    }

    /// Returns a value of any kind.
    pub fn datum(&mut self) -> Datum {
        let depth = self.0.random_range(0..6);
        self.nested(depth)
    }

    fn nested(&mut self, depth: usize) -> Datum {
        match (depth, self.0.random_range(0..8)) {
            (0, _) | (_, 0..=1) => self.scalar(),
            (_, 2..=4) => {
                let length = self.count();
                Datum::array((0..length).map(|_| self.nested(depth - 1)).collect())
            }
            _ => {
                let mut object = ObjectBuilder::new();
                for _ in 0..self.count() {
                    object.insert(self.key(), self.nested(depth - 1));
                }
                Datum::Object(object.build())
            }
        }
    }

    /// Returns a number of items: few mostly, and now and then enough for offsets of two bytes.
    fn count(&mut self) -> usize {
        match self.0.random_range(0..20) {
            0 => self.0.random_range(30..70),
            _ => self.0.random_range(0..12),
        }
    }

    fn key(&mut self) -> String {
        let names = ["a", "b", "id", "a longer key", "", "ß", "$", "$reql", "key\0"];
        let name = names[self.0.random_range(0..names.len())];
        match self.0.random_range(0..3) {
            0 => name.to_owned(),
            _ => format!("{name}{}", self.0.random_range(0..40)),
        }
    }

    fn scalar(&mut self) -> Datum {
        match self.0.random_range(0..12) {
            0 => Datum::Null,
            1 => Datum::Bool(self.0.random()),
            2..=4 => Datum::Num(self.number()),
            5..=8 => Datum::str(self.text()),
            9 => Datum::Binary(self.text().into_bytes().into()),
            10 => {
                let epoch = f64::from(self.0.random_range(0..1_000_000_000)) / 1000.0;
                pseudo::time::make(epoch, "+01:00").expect("a time")
            }
            _ => pseudo::literal::literal(Some(Datum::Num(self.number()))),
        }
    }

    fn number(&mut self) -> f64 {
        let odd = [0.0, -0.0, 1.0, -1.0, 2147483647.0, 2147483648.0, -2147483648.0, 1e300, 5e-324, 0.1];
        match self.0.random_range(0..3) {
            0 => odd[self.0.random_range(0..odd.len())],
            1 => self.0.random_range(-1000..1000).into(),
            _ => self.0.random_range(-1e9..1e9),
        }
    }

    /// Returns a text of a length around which the bytes of lengths or offsets change.
    fn text(&mut self) -> String {
        let lengths = [0, 1, 5, 20, 126, 127, 128, 240, 250, 255, 256, 16_383, 16_384, 65_530, 65_536];
        // Rarely a long one.
        let highest = if self.0.random_ratio(1, 20) { lengths.len() } else { 6 };
        let length = lengths[self.0.random_range(0..highest)];
        let part = ["x", "ß", "\u{1}\"\\", "🏳"][self.0.random_range(0..4)];
        part.repeat(length / part.len() + 1)
    }

    /// Changes some of the bytes, or removes some.
    pub fn damage(&mut self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let at = self.0.random_range(0..bytes.len());
        match self.0.random_range(0..8) {
            0 => bytes.truncate(at),
            1 => drop(bytes.remove(at)),
            2 => bytes.insert(at, self.0.random()),
            3 => bytes[at] = 0xff,
            // The first bytes are often a tag, a width or a length.
            4 => bytes[at.min(8)] = self.0.random(),
            _ => bytes[at] ^= 1 << self.0.random_range(0..8),
        }
    }

    /// Returns values each of which is made of earlier ones: doubled, put side by side, nested, packed.
    pub fn pool(&mut self) -> Vec<Sized> {
        let mut pool: Vec<Sized> =
            (0..3).map(|_| self.nested(2)).map(|datum| (datum.clone(), measured(&datum))).collect();
        for _ in 0..self.0.random_range(5..80) {
            let (a, b) = (self.one_of(&pool), self.one_of(&pool));
            let made = match self.0.random_range(0..8) {
                0..=3 => array(&[&a, &a]),
                4 => array(&vec![&a; self.0.random_range(0..300)]),
                5 => object(&a, &b),
                6 => array(&[&a, &b]),
                _ => packed(&a),
            };
            pool.push(made);
        }
        pool
    }

    /// Returns one of the values, mostly of the last ones, so that values get large.
    fn one_of(&mut self, pool: &[Sized]) -> Sized {
        let last = pool.len() - 1;
        pool[last - self.0.random_range(0..pool.len()).min(self.0.random_range(0..4))].clone()
    }
}

fn array(parts: &[&Sized]) -> Sized {
    let body = parts.iter().map(|(_, size)| size).sum();
    (Datum::array(parts.iter().map(|(datum, _)| datum.clone()).collect()), container(parts.len(), body))
}

fn object(a: &Sized, b: &Sized) -> Sized {
    let datum = Datum::object([("first", a.0.clone()), ("second", b.0.clone())]);
    (datum, container(2, 6 + a.1 + 7 + b.1))
}

/// Returns the value as a view of its bytes, if it has few of them.
fn packed((datum, size): &Sized) -> Sized {
    if *size >= 1 << 20 {
        return (datum.clone(), *size);
    }
    (Datum::from_bytes(datum.to_bytes().expect("a value that can be packed").into()), *size)
}

/// Returns the size of a container with `count` items of `body` bytes.
fn container(count: usize, body: u128) -> u128 {
    let length = |mut value: u128| {
        let mut bytes = 1;
        while value >= 0x80 {
            value >>= 7;
            bytes += 1;
        }
        bytes
    };
    let width =
        [(1, 0xff), (2, 0xffff)].into_iter().find(|(_, most)| body <= *most).map_or(4, |(width, _)| width);
    2 + length(count as u128) + length(body) + count as u128 * width + body
}

/// Returns the size of a value, counted part by part.
pub fn measured(datum: &Datum) -> u128 {
    match datum {
        Datum::Array(items) => container(items.len(), items.iter().map(|item| measured(&item)).sum()),
        Datum::Object(fields) => {
            let field = |(key, value): (&str, Datum)| measured(&Datum::str(key)) - 1 + measured(&value);
            container(fields.len(), fields.iter().map(field).sum())
        }
        scalar => scalar.to_bytes().expect("a value that can be packed").len() as u128,
    }
}
