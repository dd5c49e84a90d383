//! Rules about paths. The last that is about a path wins, so outer trees come before inner ones, what
//! is granted before what is held back, and names last.

use std::collections::BTreeSet;
use std::path::Path;

use cofferdam_policy::Rules;
use cofferdam_policy::judge::names::{Hold, NameRule};
use cofferdam_policy::judge::{Access, Entry};

use super::names::{End, Questions, UNEVEN, Word, path, spellings, steps, way, words};
use super::sbpl::{
    CONNECT, CONTENT, Filter, LOOK, Place, READ, RUN, Rule, Says, WRITE, literal, subpath,
};

/// Everything that may be done with a path.
const ALL: &[&[&str]] = &[READ, WRITE, RUN, CONNECT];

/// `path` as text: the caller has seen that it is.
fn text(path: &Path) -> &str {
    path.to_str().unwrap_or("/")
}

fn at(path: &Path) -> impl Iterator<Item = Filter> {
    spellings(text(path)).into_iter().map(literal)
}

fn below(path: &Path) -> impl Iterator<Item = Filter> {
    spellings(text(path)).into_iter().map(subpath)
}

/// The trees of the view, what keeps them in their places, and the way to them.
pub(super) fn trees(rules: &Rules) -> Vec<Rule> {
    let mut all: Vec<Rule> = rules.entries().iter().flat_map(tree).collect();
    all.extend(pins(rules));
    all.extend(ways(rules));
    all
}

fn tree(entry: &Entry) -> Vec<Rule> {
    let rule = |says, operations: &[&[&'static str]], what: &str| {
        let why = format!("{what}: {}", entry.clause);
        Rule::new(says, operations, why).about(below(&entry.path))
    };
    match entry.access {
        Access::Absent => vec![rule(Says::Deny, ALL, "absent")],
        Access::Private => vec![rule(Says::Deny, ALL, "the session's own place is elsewhere")],
        Access::Ours => vec![rule(Says::Deny, ALL, "nothing of the host's")],
        Access::Hidden => vec![rule(Says::Deny, ALL, "hidden")],
        Access::ReadOnly | Access::Guarded => vec![
            rule(Says::Allow, &[READ, RUN], "read-only"),
            rule(Says::Deny, &[WRITE], "stays as it is"),
        ],
        // The two in between are refused before.
        Access::AppendOnly | Access::NoDelete | Access::ReadWrite => {
            vec![rule(Says::Allow, &[READ, WRITE, RUN], "read-write")]
        }
    }
}

/// The innermost entry that holds `path`.
fn holding<'r>(rules: &'r Rules, path: &Path) -> Option<&'r Entry> {
    rules.entries().iter().rev().find(|entry| path.starts_with(&entry.path))
}

/// A tree, and every directory above it, stays where it is: a rename would carry it away.
fn pins(rules: &Rules) -> Option<Rule> {
    let mut pinned = BTreeSet::new();
    for entry in rules.entries() {
        let written = |path: &&Path| holding(rules, path).is_some_and(|at| at.access.is_written());
        pinned.extend(entry.path.ancestors().filter(written));
    }
    let rule = Rule::new(Says::Deny, &[&["file-write-unlink"]], "trees stay where they are");
    (!pinned.is_empty()).then(|| rule.about(pinned.into_iter().flat_map(at)))
}

/// Directories on the way to what is in view can be passed, and not listed.
fn ways(rules: &Rules) -> Option<Rule> {
    let shown = |entry: &&Entry| entry.access.is_tree() || entry.access == Access::Guarded;
    let trees = rules.entries().iter().filter(shown);
    let above: BTreeSet<&Path> = trees.flat_map(|entry| entry.path.ancestors().skip(1)).collect();
    let rule = Rule::new(Says::Allow, &[LOOK], "on the way to what is in view");
    (!above.is_empty()).then(|| rule.about(above.into_iter().flat_map(at)))
}

/// Sockets of the host's that are granted, where they are in view.
pub(super) fn sockets(rules: &Rules) -> Option<Rule> {
    let seen = |path: &&Path| {
        let entry = holding(rules, path);
        entry.is_some_and(|at| at.access.is_tree() || at.access == Access::Guarded)
    };
    let sockets = rules.sockets().iter().map(|(path, _)| path.as_path()).filter(seen);
    let sockets: Vec<Filter> = sockets.flat_map(at).collect();
    let rule = Rule::new(Says::Allow, &[CONNECT], format!("sockets: {}", rules.socket_clause()));
    (!sockets.is_empty()).then(|| rule.about(sockets))
}

/// Rules about names, whether they exist or not.
pub(super) fn names(rules: &Rules) -> Vec<Rule> {
    let shows = |rule: &&NameRule| rule.hold == Hold::Hide && !again(rules, rule).is_empty();
    // What a rule shows again below the name that it hides, another may hide.
    let (first, then): (Vec<_>, Vec<_>) = rules.names().iter().partition(shows);
    let mut all: Vec<Rule> = Vec::new();
    for rule in first.into_iter().chain(then) {
        for one in named(rules, rule) {
            match all.last_mut().filter(|last| {
                (last.says, &last.operations, &last.why) == (one.says, &one.operations, &one.why)
            }) {
                Some(last) => last.filters.extend(one.filters),
                None => all.push(one),
            }
        }
    }
    all
}

/// Trees that show again below the name that `rule` hides.
fn again<'r>(rules: &'r Rules, rule: &NameRule) -> Vec<&'r Entry> {
    let Some(name) = rule.pattern.concrete().map(|name| rule.top.join(name)) else {
        return Vec::new();
    };
    let below = |entry: &&Entry| {
        entry.access.is_tree() && entry.path != name && entry.path.starts_with(&name)
    };
    rules.entries().iter().filter(below).collect()
}

/// A rule about names as words from the root on, and where its pattern begins among them.
struct Spelled {
    words: Vec<Word>,
    top: usize,
}

impl Spelled {
    fn of(rule: &NameRule) -> Self {
        let mut all = steps(&rule.top).unwrap_or_default();
        let top = all.len();
        all.extend(words(&rule.pattern));
        Self { words: all, top }
    }

    /// The same wherever it begins.
    fn anywhere(self) -> Self {
        Self { words: self.words.into_iter().skip(self.top).collect(), top: 0 }
    }

    /// Whether it is about any depth below where it begins.
    fn floats(&self) -> bool {
        self.words.get(self.top) == Some(&Word::Any)
    }

    /// Beginnings of it that lead to the names that it is about, and to no other place as well.
    fn leading(&self) -> Vec<&[Word]> {
        let below = self.words.get(self.top..).unwrap_or_default();
        let first = self.top + below.iter().take_while(|word| **word == Word::Any).count();
        let named = |at: &usize| {
            let rest = self.words.get(*at..).unwrap_or_default();
            *at > first && rest.iter().any(|word| *word != Word::Any)
        };
        (0..self.words.len()).filter(named).filter_map(|at| self.words.get(..at)).collect()
    }
}

/// The filters of a path that is `spelled`: at the end of it, and below that where `end` says so.
fn held(spelled: &Spelled, end: End, note: &str) -> Vec<(Filter, String)> {
    let even = path(&spelled.words, end, Questions::Even);
    let asks = |word: &Word| matches!(word, Word::Wild(text) if text.contains('?'));
    let mut all = vec![(Filter::Regex(even), note.to_owned())];
    if spelled.words.iter().any(asks) {
        let any = Filter::Regex(path(&spelled.words, end, Questions::Uneven));
        let both = vec![any, Filter::Regex(UNEVEN.into())];
        all.push((Filter::All(both), "? where letters are not one for one".into()));
    }
    all
}

fn named(rules: &Rules, rule: &NameRule) -> Vec<Rule> {
    let note = rule.pattern.text();
    let clause = &rule.clause;
    let mut spelled = Spelled::of(rule);
    if spelled.floats() {
        // A directory that comes from anywhere would bring such a name with it, and one that goes would
        // take it along.
        spelled = spelled.anywhere();
    }
    let end = if rule.hold == Hold::ProtectEntry { End::At } else { End::Below };
    let filters = held(&spelled, end, note);
    let mut all = Vec::new();
    let mut deny = |operations: &[&[&'static str]], what: &str, filters: Vec<(Filter, String)>| {
        let why = format!("{what}: {clause}");
        all.push(Rule::new(Says::Deny, operations, why).about_each(filters));
    };
    match rule.hold {
        Hold::Protect | Hold::ProtectEntry | Hold::GitConfig => {
            deny(&[WRITE], "protected", filters);
        }
        Hold::Mask => deny(&[CONTENT, WRITE], "masked, so closed", filters),
        Hold::Hide => {
            let shown: Vec<Filter> =
                again(rules, rule).iter().flat_map(|tree| below(&tree.path)).collect();
            let but = |(filter, note)| match shown.as_slice() {
                [] => (filter, note),
                shown => {
                    let others = Filter::Not(Box::new(Filter::Any(shown.to_vec())));
                    (Filter::All(vec![filter, others]), note)
                }
            };
            deny(ALL, "hidden", filters.into_iter().map(but).collect());
        }
    }
    for (operations, what, filters) in leading(rule, &spelled) {
        deny(operations, what, filters);
    }
    all.extend(passed(rules, rule));
    all
}

type Denied = (&'static [&'static [&'static str]], &'static str, Vec<(Filter, String)>);

const GOES: &[&[&str]] = &[&["file-write-unlink"]];
const COMES: &[&[&str]] = &[&["file-write-create"]];

/// What must not come or go because a name below it is held: Seatbelt does not tell a directory that is
/// made from one that is moved there with all that is in it, nor a removal from a move.
fn leading(rule: &NameRule, spelled: &Spelled) -> Vec<Denied> {
    let keeps = matches!(rule.hold, Hold::Protect | Hold::ProtectEntry | Hold::GitConfig);
    let note = || rule.pattern.text().to_owned();
    let of_kind = |filter: Filter, kinds: &[&'static str]| {
        let kinds = kinds.iter().map(|kind| Filter::Symbol("vnode-type", kind)).collect();
        (Filter::All(vec![filter, Filter::Any(kinds)]), note())
    };
    let mut all: Vec<Denied> = Vec::new();
    // All of one name but its end; of a pattern what is above it, which need not be there yet.
    let whole = Spelled::of(rule);
    let above = match rule.pattern.concrete() {
        Some(_) => whole.words.split_last().map_or(&[][..], |(_, above)| above),
        None => whole.words.get(..whole.top).unwrap_or_default(),
    };
    if !above.is_empty() {
        let way = Filter::Regex(way(above));
        let comes = if keeps { (way.clone(), note()) } else { of_kind(way.clone(), &["SYMLINK"]) };
        all.push((GOES, "above a held name: stays", vec![(way, note())]));
        all.push((COMES, "above a held name: not made", vec![comes]));
    }
    if rule.pattern.concrete().is_some() {
        return all;
    }
    let ways = spelled.leading();
    let expression = |way: &&[Word]| Filter::Regex(path(way, End::At, Questions::Uneven));
    let filters = |kinds: &[&'static str]| {
        ways.iter().map(|way| of_kind(expression(way), kinds)).collect::<Vec<_>>()
    };
    if keeps && spelled.floats() {
        // Whatever is moved takes such names away from where they are.
        let directory = Filter::Symbol("vnode-type", "DIRECTORY");
        let top = below(&rule.top).map(|top| (Filter::All(vec![top, directory.clone()]), note()));
        all.push((GOES, "may hold a protected name: stays", top.collect()));
    }
    if !ways.is_empty() {
        all.push((GOES, "above a held name: stays", filters(&["DIRECTORY"])));
        let kinds: &[&str] = if keeps { &["DIRECTORY", "SYMLINK"] } else { &["SYMLINK"] };
        all.push((COMES, "above a held name: not made", filters(kinds)));
    }
    all
}

/// Directories from a hidden name to what shows again below it can be passed.
fn passed(rules: &Rules, rule: &NameRule) -> Option<Rule> {
    let name = rule.top.join(rule.pattern.concrete().filter(|_| rule.hold == Hold::Hide)?);
    let mut above = BTreeSet::new();
    for tree in again(rules, rule) {
        let way = tree.path.ancestors().skip(1);
        above.extend(way.take_while(|path| path.starts_with(&name)).map(Path::to_owned));
    }
    let why = format!("on the way to what shows again: {}", rule.clause);
    let rule = Rule::new(Says::Allow, &[LOOK], why);
    (!above.is_empty()).then(|| rule.about(above.iter().flat_map(|path| at(path))))
}

/// The session's own places, which the start names.
pub(super) fn places() -> Vec<Rule> {
    let each =
        |filter: fn(Place) -> Filter| ["HOME", "TMP"].map(|name| filter(Place::Parameter(name)));
    let own: &[&[&str]] = &[READ, WRITE, RUN, CONNECT, &["network-bind", "network-inbound"]];
    vec![
        Rule::new(Says::Allow, &[LOOK], "on the way to the session's places")
            .about(each(Filter::Ancestors)),
        Rule::new(Says::Allow, own, "the session's home and temporary directory")
            .about(each(Filter::Subpath)),
    ]
}
