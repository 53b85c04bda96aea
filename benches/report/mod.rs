//! The measurements, as tables and as a chart.

mod chart;

use std::fmt::Write;
use std::{fs, io};

use crate::choice::Choice;
use crate::stage::Subject;
use crate::{Rounds, Slice};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/performance.md");
const IMAGE: &str = "![Requests a second by the number of clients](performance.svg)";
const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/performance.svg");
/// The lines of the document between which the benchmark writes its tables.
const BEGIN: &str = "<!-- measured: begin -->\n";
const END: &str = "<!-- measured: end -->\n";

pub struct Report {
    passwords: Vec<&'static str>,
    subjects: Vec<Subject>,
    full: Vec<Full>,
    moderate: Vec<Moderate>,
}

struct Full {
    password: &'static str,
    clients: usize,
    rounds: Rounds,
}

struct Moderate {
    password: &'static str,
    rate: f64,
    rounds: Rounds,
}

/// A figure of a slice.
type Measure = fn(&Slice) -> f64;

/// A promised ratio: a figure, and the two subjects that are compared.
struct Promise {
    text: &'static str,
    of: Measure,
    subjects: [Subject; 2],
}

const COMPARED: [(&str, [Subject; 2]); 7] = [
    ("`fresh`: dialled by hand", [Subject::Fresh, Subject::DialByHand]),
    ("`reused`: bare `Vec`", [Subject::Reused, Subject::BareVec]),
    ("whole API: bare handler, both `reused`", [Subject::ApiReused, Subject::Reused]),
    ("whole API: bare handler, both `standby`", [Subject::ApiStandby, Subject::Standby]),
    ("whole API with `auth = \"database\"`: `fresh`", [Subject::ApiUsers, Subject::Fresh]),
    ("`reused` by TLS: `reused`", [Subject::ReusedTls, Subject::Reused]),
    ("`fresh` by TLS: `fresh`", [Subject::FreshTls, Subject::Fresh]),
];
const MEDIANS: [Promise; 2] = [
    Promise {
        text: "`standby`: `reused`",
        of: median_latency,
        subjects: [Subject::Standby, Subject::Reused],
    },
    Promise { text: "`fresh`: `reused`", of: median_latency, subjects: [Subject::Fresh, Subject::Reused] },
];

impl Report {
    /// Starts without measurements.
    pub fn of(choice: &Choice) -> Report {
        let passwords = choice.passwords.iter().map(|(password, _)| *password).collect();
        Report { passwords, subjects: choice.subjects.clone(), full: Vec::new(), moderate: Vec::new() }
    }

    pub fn full(&mut self, password: &'static str, clients: usize, rounds: Rounds) {
        self.full.push(Full { password, clients, rounds });
    }

    pub fn moderate(&mut self, password: &'static str, rate: f64, rounds: Rounds) {
        self.moderate.push(Moderate { password, rate, rounds });
    }

    pub fn tables(&self) -> String {
        let mut text = String::new();
        self.write_ratios(&mut text);
        self.write_moderate(&mut text);
        self.write_full(&mut text);
        text
    }

    /// Puts the tables and the chart into the documentation.
    pub fn write(&self) -> io::Result<()> {
        let document = fs::read_to_string(DOCUMENT)?;
        let parts =
            document.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
        let (before, after) =
            parts.ok_or_else(|| io::Error::other("the document has no place for the tables"))?;
        fs::write(DOCUMENT, format!("{before}{BEGIN}\n{}{IMAGE}\n\n{END}{after}", self.tables()))?;
        chart::draw(CHART, |password| {
            let full = self.full.iter().filter(|full| full.password == password);
            full.map(|full| (full.clients, &full.rounds)).collect()
        })
        .map_err(io::Error::other)
    }

    fn write_ratios(&self, text: &mut String) {
        row(text, "ratio", self.passwords.iter().map(|password| (*password).to_owned()));
        rule(text, self.passwords.len());
        for promise in &MEDIANS {
            let ratios = self.moderate.iter().map(|moderate| promise.kept(&moderate.rounds));
            ratio(text, &format!("median latency at half load, {}", promise.text), ratios);
        }
        let measures: [(_, Measure); 2] = [
            ("requests a second", Slice::throughput),
            ("requests a second of processor time", Slice::frugality),
        ];
        for (measure, of) in measures {
            for (name, subjects) in COMPARED {
                let promise = Promise { text: name, of, subjects };
                let ratios = self.passwords.iter().map(|password| {
                    let full = self.full_of(password);
                    full.map(|full| promise.kept(&full.rounds)).collect::<Option<_>>().and_then(median)
                });
                ratio(text, &format!("{measure}, {name}"), ratios);
            }
        }
        text.push('\n');
    }

    fn write_moderate(&self, text: &mut String) {
        for Moderate { password, rate, rounds } in &self.moderate {
            let _ = writeln!(text, "Latency in milliseconds at {rate:.0} requests a second, {password}:\n");
            row(text, "", ["median", "90 %", "99 %"].map(str::to_owned));
            rule(text, 3);
            for (subject, slices) in rounds {
                let quantile = |share| {
                    let median = median(slices.iter().map(|slice| slice.quantile(share)).collect());
                    format!("{:.2}", median.unwrap_or(f64::NAN))
                };
                row(text, subject.name(), [0.5, 0.9, 0.99].map(quantile));
            }
            text.push('\n');
        }
    }

    fn write_full(&self, text: &mut String) {
        let measures: [(_, Measure); 2] = [
            ("Requests a second", Slice::throughput),
            ("Microseconds of processor time a request", Slice::cost),
        ];
        let passwords = self.passwords.iter().filter(|password| self.full_of(password).next().is_some());
        for (password, (measure, of)) in passwords.flat_map(|password| measures.map(|of| (password, of))) {
            let _ = writeln!(text, "{measure} by the number of clients, {password}:\n");
            row(text, "", self.full_of(password).map(|full| full.clients.to_string()));
            rule(text, self.full_of(password).count());
            for subject in &self.subjects {
                let cells =
                    self.full_of(password).map(|full| format!("{:.0}", middle(&full.rounds, *subject, of)));
                row(text, subject.name(), cells);
            }
            text.push('\n');
        }
    }

    fn full_of(&self, password: &str) -> impl Iterator<Item = &Full> {
        self.full.iter().filter(move |full| full.password == password)
    }
}

impl Promise {
    /// Returns the median of the ratios within each round, if both were measured.
    fn kept(&self, rounds: &Rounds) -> Option<f64> {
        let [ours, other] = self.subjects.map(|subject| rounds.get(&subject));
        median(ours?.iter().zip(other?).map(|(ours, other)| (self.of)(ours) / (self.of)(other)).collect())
    }
}

fn median_latency(slice: &Slice) -> f64 {
    slice.quantile(0.5)
}

/// Returns the median of all rounds of a subject.
fn middle(rounds: &Rounds, subject: Subject, of: Measure) -> f64 {
    let slices = rounds.get(&subject).into_iter().flatten();
    median(slices.map(of).collect()).unwrap_or(f64::NAN)
}

pub fn throughput(rounds: &Rounds, subject: Subject) -> f64 {
    middle(rounds, subject, Slice::throughput)
}

pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Writes a row of ratios, unless none of them was measured.
fn ratio(text: &mut String, name: &str, ratios: impl Iterator<Item = Option<f64>>) {
    let ratios: Vec<_> = ratios.map(|ratio| ratio.map(|ratio| format!("{ratio:.2}"))).collect();
    if ratios.iter().any(Option::is_some) {
        row(text, name, ratios.into_iter().map(Option::unwrap_or_default));
    }
}

fn row(text: &mut String, name: &str, cells: impl IntoIterator<Item = String>) {
    let cells: Vec<_> = cells.into_iter().collect();
    let _ = writeln!(text, "| {name} | {} |", cells.join(" | "));
}

fn rule(text: &mut String, columns: usize) {
    let _ = writeln!(text, "|---{}|", "|---:".repeat(columns));
}
