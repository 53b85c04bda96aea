//! The part of the measurements that was asked for, by the arguments of the command.

use std::time::Duration;

use crate::stage::Subject;

/// Numbers of concurrent clients.
const CLIENTS: [usize; 5] = [1, 4, 16, 64, 256];
/// Repetitions of each slice.
const ROUNDS: usize = 6;
/// Duration of a slice of full load; one of moderate load takes twice as long.
const SLICE: Duration = Duration::from_millis(500);
const PASSWORDS: [(&str, &str); 2] = [("without a password", ""), ("with a password", "a password")];
/// The subjects at moderate load.
const PACED: [Subject; 4] = [Subject::Reused, Subject::Standby, Subject::Fresh, Subject::DialByHand];

/// Choice of what is measured; by default everything.
pub struct Choice {
    /// Each with its text.
    pub passwords: Vec<(&'static str, &'static str)>,
    pub subjects: Vec<Subject>,
    /// The subjects at moderate load.
    pub paced: Vec<Subject>,
    pub clients: Vec<usize>,
    pub rounds: usize,
    pub slice: Duration,
    /// True if moderate load is measured too, with so many requests a second, or half of what `standby`
    /// serves.
    pub moderate: bool,
    pub rate: Option<f64>,
    /// True if the results are to be written into the documentation.
    pub write: bool,
}

impl Choice {
    /// Reads the arguments. Those that aren't known are cargo's.
    pub fn of_arguments() -> Choice {
        let arguments: Vec<String> = std::env::args().collect();
        let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
        let all = |flag: &str| values(&arguments, flag);
        let last = |flag: &str| all(flag).last().map(|value| value.parse().expect("a number"));
        let mut choice = Choice {
            passwords: PASSWORDS.to_vec(),
            subjects: Subject::ALL.to_vec(),
            paced: PACED.to_vec(),
            clients: CLIENTS.to_vec(),
            rounds: last("--rounds").map_or(ROUNDS, |rounds: f64| rounds as usize),
            slice: last("--seconds").map_or(SLICE, Duration::from_secs_f64),
            moderate: has("--rate") || !has("--clients"),
            rate: last("--rate"),
            write: has("--write"),
        };
        // `cargo test --benches` only wants to know whether it runs.
        if !has("--bench") {
            (choice.rounds, choice.clients) = (1, vec![1]);
        }
        let only = all("--only");
        if !only.is_empty() {
            let is_meant = |subject: &Subject| only.contains(&subject.name());
            choice.subjects.retain(is_meant);
            choice.paced.retain(is_meant);
            assert!(!choice.subjects.is_empty(), "the subjects' names are those of the tables");
        }
        let clients = all("--clients");
        if !clients.is_empty() || has("--rate") {
            choice.clients = clients.iter().map(|number| number.parse().expect("a number")).collect();
        }
        if let Some(password) = all("--password").last() {
            choice.passwords.retain(|(_, text)| text.is_empty() == (*password == "no"));
        }
        choice
    }
}

/// Returns the values of a flag that may be given several times.
fn values<'a>(arguments: &'a [String], flag: &str) -> Vec<&'a str> {
    arguments.windows(2).filter(|pair| pair[0] == flag).map(|pair| pair[1].as_str()).collect()
}
