//! Damage to frames, as a broken or hostile client might send them.

use rand::Rng;
use rand::rngs::StdRng;

const ENVELOPES: &[&[u8]] = &[
    b"",
    b"null",
    b"[]",
    b"[1]",
    b"[1,null]",
    b"[\"1\",[]]",
    b"[1,[13],[]]",
    b"[1,1,{},1]",
    b"[1,[],{\"db\":[]}]",
];

/// Returns the frame, or something like it, damaged.
pub fn damage(mut frame: Vec<u8>, random: &mut StdRng) -> Vec<u8> {
    let at = random.random_range(0..frame.len());
    match random.random_range(0..7) {
        0 => frame.truncate(at),
        1 => frame[at] = random.random(),
        2 => frame.insert(at, *b"[]{},:\"\\0-e"[random.random_range(0..11)..].first().unwrap_or(&b'[')),
        3 => {
            let end = random.random_range(at..frame.len());
            frame.extend_from_within(at..end);
        }
        4 => frame = nested(random),
        5 => frame = br#"[1,{"a":1,"b":2,"a":[14,["x"]]},{"db":1,"db":2}]"#.to_vec(),
        _ => frame = ENVELOPES[random.random_range(0..ENVELOPES.len())].to_vec(),
    }
    frame
}

/// Returns one term in itself, thousands of times.
fn nested(random: &mut StdRng) -> Vec<u8> {
    const WRAPPERS: &[(&str, &str)] = &[
        ("[", "]"),
        ("{\"a\":", "}"),
        ("[2,[", "]]"),
        ("[23,[", "]]"),
        ("[64,[[69,[[2,[1]],[10,[1]]]],", "]]"),
        ("[69,[[2,[]],", "]]"),
        ("[24,[1,", "]]"),
        ("[92,[", ",1]]"),
        ("[38,[[2,[1]],[69,[[2,[1]],", "]]]]"),
    ];
    let depth = random.random_range(1..12_000);
    let (open, close) = WRAPPERS[random.random_range(0..WRAPPERS.len())];
    format!("[1,{}1{}]", open.repeat(depth), close.repeat(depth)).into_bytes()
}
