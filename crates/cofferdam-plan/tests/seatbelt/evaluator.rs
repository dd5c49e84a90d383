//! Reads a Seatbelt profile and says what it allows.
//!
//! Written from the language, and shares nothing with what writes profiles. What it does not know is an
//! error: a profile is understood whole or not at all.

#![allow(
    dead_code,
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a module of several test programs, none of which uses all of it; panics are how tests fail"
)]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

#[path = "expression.rs"]
mod expression;
use expression::Expression;

/// What a profile says of an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Allow,
    Deny,
}

/// Which of two rules about an act wins where one names its operation and the other its class: public
/// sources tell both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// The later one.
    InOrder,
    /// The one that names the operation; the later one among equals.
    NearestFirst,
}

/// What an act is about. What is `None` no filter about it meets.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Act<'a> {
    /// `file-read-data`, `mach-lookup`
    pub(crate) operation: &'a str,
    /// A file, or a socket by its path.
    pub(crate) path: Option<&'a str>,
    /// `REGULAR-FILE`, `DIRECTORY`, `SYMLINK`
    pub(crate) kind: Option<&'a str>,
    /// Of a service, or of a value.
    pub(crate) name: Option<&'a str>,
    /// `ADDRESS:PORT` of the other end.
    pub(crate) remote: Option<&'a str>,
    /// Of this end.
    pub(crate) local: Option<&'a str>,
    /// `self`, `same-sandbox`, `others`
    pub(crate) target: Option<&'a str>,
    /// An extension that the file was given.
    pub(crate) extension: Option<&'a str>,
}

pub(crate) struct Profile {
    default: Verdict,
    rules: Vec<Rule>,
}

pub(crate) struct Rule {
    pub(crate) verdict: Verdict,
    pub(crate) operations: Vec<String>,
    /// One of them; without any, everything.
    pub(crate) filters: Vec<Filter>,
    /// The text of `(with message …)`.
    pub(crate) message: Option<String>,
}

pub(crate) enum Filter {
    Literal(String),
    Subpath(String),
    Prefix(String),
    Ancestors(String),
    Regex(Rc<Expression>),
    Kind(String),
    Name(String),
    NamePrefix(String),
    NameRegex(Rc<Expression>),
    Remote(String),
    Local(String),
    Target(String),
    Extension(String),
    All(Vec<Filter>),
    Any(Vec<Filter>),
    Not(Box<Filter>),
}

/// A form of the text.
#[derive(Debug)]
enum Form {
    List(Vec<Form>),
    Symbol(String),
    Text(String),
}

impl Profile {
    /// Reads `text`; `parameters` are what the start names.
    pub(crate) fn new(text: &str, parameters: &BTreeMap<String, String>) -> Result<Self, String> {
        let forms = forms(text)?;
        let (mut default, mut rules, mut is_versioned) = (None, Vec::new(), false);
        for form in &forms {
            let Form::List(parts) = form else { return Err(format!("no rule: {form:?}")) };
            match parts.as_slice() {
                [Form::Symbol(word), Form::Symbol(number)] if word == "version" => {
                    is_versioned = number == "1";
                }
                [Form::Symbol(word), rest @ ..] if word == "allow" || word == "deny" => {
                    let verdict = if word == "allow" { Verdict::Allow } else { Verdict::Deny };
                    let rule = rule(verdict, rest, parameters)?;
                    if rule.operations == ["default"] {
                        default = Some(verdict);
                    } else {
                        rules.push(rule);
                    }
                }
                _ => return Err(format!("not known: {form:?}")),
            }
        }
        if !is_versioned {
            return Err("no (version 1)".into());
        }
        let default = default.ok_or("no default")?;
        Ok(Self { default, rules })
    }

    pub(crate) fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// What it says of `act`, read in one way.
    pub(crate) fn reads(&self, act: &Act<'_>, reading: Reading) -> Verdict {
        let classes = classes(act.operation);
        let meets = |rule: &&Rule, levels: &[String]| {
            rule.operations.iter().any(|operation| levels.contains(operation))
                && (rule.filters.is_empty() || rule.filters.iter().any(|one| one.meets(act)))
        };
        let last = |levels: &[String]| {
            self.rules.iter().rev().find(|rule| meets(rule, levels)).map(|rule| rule.verdict)
        };
        let found = match reading {
            Reading::InOrder => last(&classes),
            Reading::NearestFirst => {
                classes.iter().find_map(|level| last(std::slice::from_ref(level)))
            }
        };
        found.unwrap_or(self.default)
    }

    /// What it says, whichever way it is read. Panics where the two ways differ.
    #[track_caller]
    pub(crate) fn says(&self, act: &Act<'_>) -> Verdict {
        let verdict = self.reads(act, Reading::InOrder);
        assert_eq!(verdict, self.reads(act, Reading::NearestFirst), "two readings of {act:?}");
        verdict
    }

    #[track_caller]
    pub(crate) fn allows(&self, act: &Act<'_>) -> bool {
        self.says(act) == Verdict::Allow
    }

    /// Whether an operation on a path is allowed.
    #[track_caller]
    pub(crate) fn allows_path(&self, operation: &str, path: &str, kind: &str) -> bool {
        let (path, kind) = (Some(path), Some(kind));
        self.allows(&Act { operation, path, kind, ..Act::default() })
    }
}

/// An operation and the classes that it is of, nearest first: `file-read-data`, `file-read*`, `file*`.
fn classes(operation: &str) -> Vec<String> {
    let mut all = vec![operation.to_owned()];
    // `process-exec` is of `process-exec*`.
    if !operation.ends_with('*') {
        all.push(format!("{operation}*"));
    }
    let mut rest = operation.trim_end_matches('*');
    while let Some((before, _)) = rest.rsplit_once('-') {
        all.push(format!("{before}*"));
        rest = before;
    }
    all
}

impl Filter {
    fn meets(&self, act: &Act<'_>) -> bool {
        let path = |test: &dyn Fn(&str) -> bool| act.path.is_some_and(test);
        match self {
            Self::Literal(at) => path(&|path| path == at),
            Self::Subpath(at) => path(&|path| is_below(at, path)),
            Self::Prefix(at) => path(&|path| path.starts_with(at)),
            Self::Ancestors(at) => path(&|path| path != at && is_below(path, at)),
            Self::Regex(expression) => path(&|path| expression.finds(path.as_bytes())),
            Self::Kind(kind) => act.kind == Some(kind),
            Self::Name(name) => act.name == Some(name),
            Self::NamePrefix(name) => act.name.is_some_and(|asked| asked.starts_with(name)),
            Self::NameRegex(expression) => {
                act.name.is_some_and(|name| expression.finds(name.as_bytes()))
            }
            Self::Remote(address) => act.remote.is_some_and(|asked| is_address(address, asked)),
            Self::Local(address) => act.local.is_some_and(|asked| is_address(address, asked)),
            Self::Target(target) => act.target.is_some_and(|asked| {
                asked == target || target == "same-sandbox" && asked == "self"
            }),
            Self::Extension(extension) => act.extension == Some(extension),
            Self::All(filters) => filters.iter().all(|filter| filter.meets(act)),
            Self::Any(filters) => filters.iter().any(|filter| filter.meets(act)),
            Self::Not(filter) => !filter.meets(act),
        }
    }
}

fn is_below(tree: &str, path: &str) -> bool {
    let tree = tree.strip_suffix('/').unwrap_or(tree);
    path.strip_prefix(tree).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// `HOST:PORT`, with `*` for any and `localhost` for this machine's own.
fn is_address(rule: &str, asked: &str) -> bool {
    let (Some((host, port)), Some((to, at))) = (rule.rsplit_once(':'), asked.rsplit_once(':'))
    else {
        return false;
    };
    let own = to.starts_with("127.") || to == "::1" || to == "[::1]";
    (host == "*" || host == to || host == "localhost" && own) && (port == "*" || port == at)
}

fn rule(
    verdict: Verdict,
    parts: &[Form],
    parameters: &BTreeMap<String, String>,
) -> Result<Rule, String> {
    let mut rule = Rule { verdict, operations: Vec::new(), filters: Vec::new(), message: None };
    for part in parts {
        match part {
            Form::Symbol(operation) if rule.filters.is_empty() => {
                rule.operations.push(operation.clone());
            }
            Form::List(parts) => match parts.as_slice() {
                [Form::Symbol(word), Form::Symbol(what), Form::Text(message)]
                    if word == "with" && what == "message" =>
                {
                    rule.message = Some(message.clone());
                }
                [Form::Symbol(word), ..] if word == "with" => {
                    return Err(format!("not known: {part:?}"));
                }
                parts => rule.filters.push(filter(parts, parameters)?),
            },
            Form::Symbol(_) | Form::Text(_) => return Err(format!("no filter: {part:?}")),
        }
    }
    if rule.operations.is_empty() {
        return Err("a rule about no operation".into());
    }
    Ok(rule)
}

fn filter(parts: &[Form], parameters: &BTreeMap<String, String>) -> Result<Filter, String> {
    let unknown = || format!("no filter: {parts:?}");
    let [Form::Symbol(key), rest @ ..] = parts else { return Err(unknown()) };
    let each = || {
        let inner = rest.iter().map(|form| match form {
            Form::List(parts) => filter(parts, parameters),
            Form::Symbol(_) | Form::Text(_) => Err(unknown()),
        });
        let inner: Result<Vec<Filter>, String> = inner.collect();
        inner.and_then(|inner| if inner.is_empty() { Err(unknown()) } else { Ok(inner) })
    };
    let text = || match rest {
        [one] => text(one, parameters),
        _ => Err(unknown()),
    };
    let symbol = || match rest {
        [Form::Symbol(symbol)] => Ok(symbol.clone()),
        _ => Err(unknown()),
    };
    let address = || match rest {
        [Form::Symbol(family), one] if matches!(family.as_str(), "ip" | "tcp" | "udp") => {
            self::text(one, parameters)
        }
        _ => Err(unknown()),
    };
    Ok(match key.as_str() {
        "literal" | "path" => Filter::Literal(text()?),
        "subpath" => Filter::Subpath(text()?),
        "prefix" => Filter::Prefix(text()?),
        "path-ancestors" => Filter::Ancestors(text()?),
        "regex" => Filter::Regex(expression(&text()?)?),
        "vnode-type" => Filter::Kind(symbol()?),
        "global-name" | "local-name" | "sysctl-name" | "ipc-posix-name" => Filter::Name(text()?),
        "global-name-prefix" | "sysctl-name-prefix" => Filter::NamePrefix(text()?),
        "global-name-regex" | "sysctl-name-regex" => Filter::NameRegex(expression(&text()?)?),
        "remote" => Filter::Remote(address()?),
        "local" => Filter::Local(address()?),
        "target" => Filter::Target(symbol()?),
        "extension" => Filter::Extension(text()?),
        "require-all" => Filter::All(each()?),
        "require-any" => Filter::Any(each()?),
        "require-not" => match each()?.pop() {
            Some(inner) if rest.len() == 1 => Filter::Not(Box::new(inner)),
            _ => return Err(unknown()),
        },
        _ => return Err(unknown()),
    })
}

thread_local! {
    /// Expressions that were read: many profiles have the same.
    static READ: RefCell<BTreeMap<String, Rc<Expression>>> = RefCell::default();
}

fn expression(text: &str) -> Result<Rc<Expression>, String> {
    if let Some(known) = READ.with_borrow(|read| read.get(text).cloned()) {
        return Ok(known);
    }
    let new = Rc::new(Expression::new(text)?);
    READ.with_borrow_mut(|read| read.insert(text.to_owned(), Rc::clone(&new)));
    Ok(new)
}

/// A string, a parameter, or several of them put together.
fn text(form: &Form, parameters: &BTreeMap<String, String>) -> Result<String, String> {
    match form {
        Form::Text(text) => Ok(text.clone()),
        Form::List(parts) => match parts.as_slice() {
            [Form::Symbol(word), Form::Text(name)] if word == "param" => {
                parameters.get(name).cloned().ok_or_else(|| format!("no parameter {name}"))
            }
            [Form::Symbol(word), rest @ ..] if word == "string-append" => {
                rest.iter().map(|form| text(form, parameters)).collect()
            }
            _ => Err(format!("no text: {form:?}")),
        },
        Form::Symbol(_) => Err(format!("no text: {form:?}")),
    }
}

fn forms(text: &str) -> Result<Vec<Form>, String> {
    let mut letters = text.chars().peekable();
    let mut open: Vec<Vec<Form>> = vec![Vec::new()];
    while let Some(letter) = letters.next() {
        let form = match letter {
            _ if letter.is_whitespace() => continue,
            ';' => {
                letters.by_ref().find(|letter| *letter == '\n');
                continue;
            }
            '(' => {
                open.push(Vec::new());
                continue;
            }
            ')' => {
                let list = open.pop().filter(|_| !open.is_empty()).ok_or("a bracket too many")?;
                Form::List(list)
            }
            '"' => Form::Text(string(&mut letters)?),
            '#' if letters.peek() == Some(&'"') => {
                letters.next();
                let mut raw = String::new();
                loop {
                    match letters.next().ok_or("an expression is open")? {
                        '"' => break Form::Text(raw),
                        letter => raw.push(letter),
                    }
                }
            }
            letter => {
                let mut symbol = String::from(letter);
                let ends = |letter: &char| letter.is_whitespace() || "()\";".contains(*letter);
                while let Some(letter) = letters.next_if(|letter| !ends(letter)) {
                    symbol.push(letter);
                }
                Form::Symbol(symbol)
            }
        };
        open.last_mut().ok_or("a bracket too many")?.push(form);
    }
    match (open.pop(), open.is_empty()) {
        (Some(forms), true) => Ok(forms),
        _ => Err("a bracket is open".into()),
    }
}

fn string(letters: &mut impl Iterator<Item = char>) -> Result<String, String> {
    let mut text = String::new();
    loop {
        match letters.next().ok_or("a string is open")? {
            '"' => return Ok(text),
            '\\' => text.push(match letters.next().ok_or("a string is open")? {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'x' | '0'..='7' => return Err("a letter by its number is not known".into()),
                letter => letter,
            }),
            letter => text.push(letter),
        }
    }
}
