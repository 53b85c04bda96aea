//! The steps of compiling a pattern, counted while the pattern is read.
//!
//! The size of what is made tells little of it. Folding the case of a set of characters looks at each of
//! them, and leaves a few ranges. Alternatives that are classes are made one class, by adding each to those
//! before it. What repetitions write out again may come to the same few states. So steps are counted here, of
//! about a tenth of a microsecond.

/// The characters whose case is folded in a step.
const FOLDED: usize = 16;
/// The ranges of classes that are put together in a step.
const UNITED: u64 = 16;
/// The levels of groups through which an item is passed up in a step.
const LEVELS: usize = 8;

/// An item of a pattern: a character, a class, a group.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Item {
    /// Its repetitions, inner ones multiplied.
    repeats: u32,
    /// The steps that making its states takes; none if it leaves nothing.
    states: u64,
    /// The class that it is, or the classes that are its alternatives.
    classes: Classes,
}

impl Item {
    /// Returns an item that isn't repeated, and a class if it has ranges.
    pub(super) fn new(states: usize, ranges: usize) -> Self {
        let ranges = ranges as u64;
        let classes = Classes { number: ranges.min(1), ranges, unions: ranges / UNITED };
        Item { repeats: 1, states: states as u64, classes }
    }

    /// Returns a class of so many ranges.
    pub(super) fn class(ranges: usize) -> Self {
        Item::new(1 + ranges, ranges)
    }
}

/// Classes that are alternatives.
#[derive(Debug, Clone, Copy, Default)]
struct Classes {
    number: u64,
    ranges: u64,
    /// The steps of making one class of them.
    unions: u64,
}

impl Classes {
    /// Adds alternatives that come after these. Those of an inner group are the outer one's, too, and put
    /// together once more.
    fn add(&mut self, more: Classes) {
        self.unions += more.unions + more.number * self.ranges / UNITED;
        self.ranges += more.ranges;
        self.number += more.number;
    }
}

/// A group that is open.
#[derive(Debug, Default)]
struct Group {
    /// Its last item; `None` if there is nothing to repeat.
    last: Option<Item>,
    /// Most repetitions of any of its items.
    most: u32,
    /// The steps for the states of all items.
    states: u64,
    /// The item that its last branch ends with: what goes before it may be the same in all branches, and what
    /// leaves nothing doesn't count.
    tail: Item,
    /// The tail before the last item.
    before: Item,
    /// The classes that branches end with.
    classes: Classes,
    has_branches: bool,
}

impl Group {
    fn end_branch(&mut self) {
        self.classes.add(self.tail.classes);
        (self.last, self.tail, self.before) = (None, Item::default(), Item::default());
    }

    /// Returns the steps of what is done with its branches.
    fn unions(&self) -> u64 {
        if self.has_branches { self.classes.unions } else { 0 }
    }
}

/// The cost of a pattern that is being read.
#[derive(Debug)]
pub(super) struct Cost {
    /// The open groups, the pattern itself first.
    groups: Vec<Group>,
    /// The steps of what is done once, whatever repeats it.
    once: u64,
}

impl Cost {
    pub(super) fn new() -> Self {
        Cost { groups: vec![Group::default()], once: 0 }
    }

    /// Returns the steps. They are all there when all groups are closed.
    pub(super) fn steps(mut self) -> u64 {
        self.groups.iter_mut().for_each(Group::end_branch);
        self.once + self.groups.iter().map(|group| group.states + group.unions()).sum::<u64>()
    }

    /// Returns true if a group is open.
    pub(super) fn is_in_group(&self) -> bool {
        self.groups.len() > 1
    }

    pub(super) fn begin_group(&mut self) {
        self.once += 1;
        self.groups.push(Group::default());
    }

    /// Ends the innermost group, which is an item of the one around it then. Returns false if none is open.
    pub(super) fn end_group(&mut self) -> bool {
        if !self.is_in_group() {
            return false;
        }
        if let Some(mut group) = self.groups.pop() {
            group.end_branch();
            self.once += group.unions();
            let Group { most, states, classes, .. } = group;
            self.add(Item { repeats: most.max(1), states, classes });
        }
        true
    }

    /// Ends a branch of the innermost group, behind which is another one.
    pub(super) fn end_branch(&mut self) {
        if let Some(group) = self.groups.last_mut() {
            group.end_branch();
            group.has_branches = true;
        }
    }

    /// Counts an item of the innermost group.
    pub(super) fn add(&mut self, item: Item) {
        self.once += 1 + (self.groups.len() / LEVELS) as u64;
        let Some(group) = self.groups.last_mut() else { return };
        group.last = Some(item);
        group.most = group.most.max(item.repeats);
        group.states += item.states;
        group.before = group.tail;
        if item.states > 0 {
            group.tail = item;
        }
    }

    /// Counts characters whose case is folded.
    pub(super) fn fold(&mut self, chars: usize) {
        self.once += (chars / FOLDED) as u64;
    }

    /// Returns the repetitions of the last item, or `None` if there is nothing to repeat.
    pub(super) fn repeats(&self) -> Option<u32> {
        self.groups.last()?.last.map(|item| item.repeats)
    }

    /// Counts that the last item is written so many times, which makes so many repetitions.
    pub(super) fn repeat(&mut self, times: u32, repeats: u32) {
        let Some(group) = self.groups.last_mut() else { return };
        let Some(item) = &mut group.last else { return };
        item.repeats = repeats;
        group.most = group.most.max(repeats);
        group.states -= item.states;
        item.states *= u64::from(times);
        group.states += item.states;
        if times == 0 {
            group.tail = group.before;
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::budget::Budget;
    use crate::budget::fuel::{self, Place};
    use crate::datum::text::regexp::{Pattern, TOO_LARGE, pattern};
    use crate::error::ErrorKind;

    fn steps(pattern: &str) -> u64 {
        pattern::translate(pattern).unwrap().steps
    }

    #[track_caller]
    fn refuses(pattern: &str) {
        let error = Pattern::compile(pattern).unwrap_err();
        assert!(error.message().ends_with(TOO_LARGE), "{pattern}");
    }

    /// Returns every second of so many characters.
    fn sparse(count: usize) -> String {
        ('\u{10000}'..).step_by(2).take(count).collect()
    }

    #[test]
    fn patterns_that_come_to_little_after_long_are_refused() {
        refuses(&format!("(?i){}", r"[\x01-\x{10FFFF}]".repeat(1000)));
        refuses(&format!("(?:{}aa){{1000}}", "aa|".repeat(5_000)));
        refuses(&format!("[{}]{{1000}}", sparse(10_000)));
        // Levels of groups, through which all items pass.
        refuses(&format!("{}{}{}", "(?:".repeat(400), "a*".repeat(50_000), ")b*".repeat(400)));
    }

    #[test]
    fn large_classes_with_many_alternatives_are_refused() {
        let large = sparse(10_000);
        for small in ["[xy]", "[xy]y{0}", "[xy](?:)", "(?:[xy]|[xy])"] {
            refuses(&format!("[{large}]{}", format!("|{small}").repeat(10_000)));
            refuses(&format!("a[{large}]{}", format!("|a{small}").repeat(10_000)));
            refuses(&format!("[{large}]|(?:[xy]{})", format!("|{small}").repeat(3_500)));
        }
        let nested = format!("[{}]|[xy]|z*{}", sparse(60_000), "|z*)".repeat(400));
        refuses(&format!("{}{nested}", "(?:".repeat(400)));
    }

    #[test]
    fn what_is_written_often_is_done_once() {
        for set in [r"\W", r"\D", r"\S", r"[\W_]", r"[\s\S]", r"[^\w]", r"\P{Any}"] {
            assert!(steps(&format!("(?i){}", set.repeat(1000))) < 30_000, "{set}");
        }
        assert!(steps(r"(?i)[\x{80}-\x{10FFFF}]") < 10_000);
        assert!(steps(&format!("[{}]", r"\W\d".repeat(20_000))) < 100);
    }

    #[test]
    fn usual_patterns_are_not_refused() {
        let words = (0..5_000).map(|n| format!("word{n}")).collect::<Vec<_>>().join("|");
        Pattern::compile(&format!(r"(?i)\b(({words}))")).unwrap();
        Pattern::compile(r"(?i)(<script\b[^>]*>[\s\S]*?</script>\W*){1,20}").unwrap();
        Pattern::compile(r"^(\pL+[ '-]){1,40}$").unwrap();
        Pattern::compile(r"(?i)[^\x00-\x7F]{1,300}|[\x{80}-\x{10FFFF}]{1,300}").unwrap();
    }

    /// Checks that the work of compiling is known before it's done.
    #[test]
    fn compiling_that_takes_long_is_not_begun_where_others_wait() {
        let compile = |pattern: &str| {
            let compiled = fuel::within(&Budget::default(), Place::Writer, || Pattern::compile(pattern));
            compiled.err().map(|error| error.kind())
        };
        assert_eq!(compile(r"^[\w.+-]+@([\w-]+\.)+\w{2,}$"), None);
        for pattern in [r"\pL{100}", r"(?i)[\x01-\x{10FFFF}]", &"ab*".repeat(4_000)] {
            assert_eq!(compile(pattern), Some(ErrorKind::WouldBlock), "{pattern}");
        }
    }
}
