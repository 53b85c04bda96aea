//! Chance: random numbers and generated keys.

use rand::Rng;
use uuid::Uuid;

use crate::datum::{Datum, as_integer, display_g20};
use crate::error::{Error, Result};
use crate::eval::{Arity, Call, Determinism, Spec, Val};
use crate::term::{RawTerm, TermType};

/// The terms of this family.
pub const TERMS: &[Spec] = &[
    Spec::new(TermType::Random, Arity::between(0, 2), random)
        .optargs(&["float"])
        .determinism(Determinism::NO),
    Spec::new(TermType::Uuid, Arity::between(0, 1), uuid).determinism_of(uuid_determinism),
];

/// The namespace in which `r.uuid(text)` makes identifiers.
const NAMESPACE: Uuid = Uuid::from_u128(0x91461c99_f89d_49d2_af96_d8e2e14e9b58);

/// Returns the determinism of `uuid`. Without an argument, an id is made up; the number of the values of
/// `r.args` can't be known in advance.
fn uuid_determinism(raw: &RawTerm) -> Determinism {
    match &raw.args[..] {
        [arg] if arg.kind != TermType::Args => Determinism::ALWAYS,
        _ => Determinism::NO,
    }
}

fn uuid(call: &mut Call<'_>) -> Result<Val> {
    let id = match call.len() {
        0 => Uuid::new_v4(),
        _ => Uuid::new_v5(&NAMESPACE, call.str(0)?.as_bytes()),
    };
    Ok(call.val(Datum::from(id.to_string())))
}

fn random(call: &mut Call<'_>) -> Result<Val> {
    let float = match call.optarg("float")? {
        Some(float) => float.into_bool()?,
        None => call.len() == 0,
    };
    let number = match (float, call.len()) {
        (true, 0) => random_float(0.0, 1.0),
        (true, 1) => random_float(0.0, call.num(0)?),
        (true, _) => random_float(call.num(0)?, call.num(1)?),
        (false, 0) => return Err(call.fail("Generating a random integer requires one or two bounds.")),
        (false, 1) => random_integer(0, bound("Upper", call.num(0)?)?)?,
        (false, _) => random_integer(bound("Lower", call.num(0)?)?, bound("Upper", call.num(1)?)?)?,
    };
    Ok(call.val(Datum::num(number)?))
}

/// Returns a bound of random integers.
fn bound(name: &str, bound: f64) -> Result<i64> {
    as_integer(bound).ok_or_else(|| {
        let shown = display_g20(bound);
        Error::logic(format!("{name} bound ({shown}) could not be safely converted to an integer."))
    })
}

/// Returns a number from `lower` to just before `upper`, which may be the smaller one.
fn random_float(lower: f64, upper: f64) -> f64 {
    // The distance between the bounds may be beyond the largest number; a quarter of it never is.
    if (lower > 0.0) != (upper > 0.0) && lower.abs() > f64::MAX / 2.0 - upper.abs() {
        return random_float(lower / 4.0, upper / 4.0) * 4.0;
    }
    let number = lower + rand::rng().random::<f64>() * (upper - lower);
    let beyond = if upper > lower { number >= upper } else { number <= upper };
    if beyond { lower } else { number }
}

fn random_integer(lower: i64, upper: i64) -> Result<f64> {
    if lower >= upper {
        return Err(Error::logic(format!("Lower bound ({lower}) is not less than upper bound ({upper}).")));
    }
    Ok(rand::rng().random_range(lower..upper) as f64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn uuids_of_texts_are_rethinkdbs() {
        let id = Uuid::new_v5(&NAMESPACE, b"name");
        assert_eq!(id.to_string(), "a59012bd-8808-504e-bf29-b33ba614c80e");
    }

    #[test]
    fn bounds_must_be_integers_in_order() {
        for (lower, upper, message) in [
            (0.0, -0.5, "Upper bound (-0.5) could not be safely converted to an integer."),
            (-120549.25, 39458.0, "Lower bound (-120549.25) could not be safely converted to an integer."),
            (
                0.0,
                1e300,
                "Upper bound (1.0000000000000000525e+300) could not be safely converted to an integer.",
            ),
            (0.0, 0.0, "Lower bound (0) is not less than upper bound (0)."),
            (20.0, 2.0, "Lower bound (20) is not less than upper bound (2)."),
        ] {
            let number =
                bound("Lower", lower).and_then(|lower| random_integer(lower, bound("Upper", upper)?));
            assert_eq!(number.unwrap_err().message(), message);
        }
    }

    #[test]
    fn a_range_without_room_gives_its_bound() {
        for bound in [0.0, 5.0, -499384756758.0, -93.94757, f64::MAX] {
            assert_eq!(random_float(bound, bound), bound);
        }
    }

    proptest! {
        #[test]
        fn floats_are_within_their_bounds(lower: f64, upper: f64) {
            prop_assume!(lower.is_finite() && upper.is_finite() && lower != upper);
            let number = random_float(lower, upper);
            if lower < upper {
                prop_assert!(lower <= number && number < upper);
            } else {
                prop_assert!(upper < number && number <= lower);
            }
        }

        #[test]
        fn integers_are_within_their_bounds(
            lower in -9_007_199_254_740_992_i64..9_007_199_254_740_992,
            room in 1_i64..9,
        ) {
            let upper = (lower + room).min(9_007_199_254_740_992);
            let number = random_integer(lower, upper).unwrap() as i64;
            prop_assert!((lower..upper).contains(&number));
        }
    }
}
