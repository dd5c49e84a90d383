//! A document of GraphQL: what its operations are.
//!
//! Read twice, by a parser and by a reader of our own that only knows where definitions begin. Both
//! find the same definitions, or the document is refused: a string or a comment that ends elsewhere
//! for the server would hide a mutation.

use apollo_parser::Parser;
use apollo_parser::cst::Definition;

use super::GraphQlFault;

/// How deep selections and values may be. Servers stop at far less.
const DEPTH_MAX: usize = 100;
/// Most tokens, blanks and commas among them: twice what Apollo's router takes.
const TOKENS_MAX: usize = 30_000;
/// A byte order mark, and what some readers take for an end of line: `NEL`, `LS` and `PS`.
const ODD: &[char] = &['\u{FEFF}', '\u{85}', '\u{2028}', '\u{2029}'];

/// What a definition is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Query,
    Mutation,
    Subscription,
    Fragment,
    /// Of a schema.
    Other,
}

/// Whether a document can be run, and each of its operations is a query.
pub(super) fn judge(text: &str) -> Result<(), GraphQlFault> {
    if text.trim().is_empty() {
        return Err(GraphQlFault::NoDocument);
    }
    let is_odd = |letter: char| {
        ODD.contains(&letter)
            || (letter.is_ascii_control() && !matches!(letter, '\t' | '\n' | '\r'))
    };
    if text.contains(is_odd) {
        return Err(GraphQlFault::Document);
    }
    // The parser leaves a text early at its bounds, so ours, which has none, speaks first.
    let begun = begun(text).ok_or(GraphQlFault::Document)?;
    let parsed = parsed(text).ok_or(GraphQlFault::Document)?;
    for kind in &begun {
        match kind {
            Kind::Query | Kind::Fragment => {}
            Kind::Mutation => return Err(GraphQlFault::Mutation),
            Kind::Subscription => return Err(GraphQlFault::Subscription),
            Kind::Other => return Err(GraphQlFault::Definition),
        }
    }
    if begun != parsed {
        return Err(GraphQlFault::Document);
    }
    if begun.contains(&Kind::Query) { Ok(()) } else { Err(GraphQlFault::NoDocument) }
}

/// The definitions as the parser finds them; `None` where it finds a fault.
fn parsed(text: &str) -> Option<Vec<Kind>> {
    let tree = Parser::new(text).recursion_limit(DEPTH_MAX).token_limit(TOKENS_MAX).parse();
    let is_within =
        tree.recursion_limit().high <= DEPTH_MAX && tree.token_limit().high <= TOKENS_MAX;
    if tree.errors().len() > 0 || !is_within {
        return None;
    }
    let kind = |definition| match definition {
        Definition::OperationDefinition(operation) => match operation.operation_type() {
            // `{ … }` alone is a query.
            None => Kind::Query,
            Some(kind) if kind.query_token().is_some() => Kind::Query,
            Some(kind) if kind.mutation_token().is_some() => Kind::Mutation,
            Some(_) => Kind::Subscription,
        },
        Definition::FragmentDefinition(_) => Kind::Fragment,
        Definition::DirectiveDefinition(_)
        | Definition::SchemaDefinition(_)
        | Definition::ScalarTypeDefinition(_)
        | Definition::ObjectTypeDefinition(_)
        | Definition::InterfaceTypeDefinition(_)
        | Definition::UnionTypeDefinition(_)
        | Definition::EnumTypeDefinition(_)
        | Definition::InputObjectTypeDefinition(_)
        | Definition::SchemaExtension(_)
        | Definition::ScalarTypeExtension(_)
        | Definition::ObjectTypeExtension(_)
        | Definition::InterfaceTypeExtension(_)
        | Definition::UnionTypeExtension(_)
        | Definition::EnumTypeExtension(_)
        | Definition::InputObjectTypeExtension(_) => Kind::Other,
    };
    Some(tree.document().definitions().map(kind).collect())
}

/// The definitions by what each begins with, outside of strings and comments: after the `}` that ends
/// the one before. `None` where a string or a bracket has no end.
fn begun(text: &str) -> Option<Vec<Kind>> {
    let (mut kinds, mut within, mut depth) = (Vec::new(), false, 0_usize);
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let length = match letter {
            '#' => rest.find(['\n', '\r']).unwrap_or(rest.len()),
            '"' => string(rest)?,
            'a'..='z' | 'A'..='Z' | '_' => {
                let is_over = |letter: char| !(letter.is_ascii_alphanumeric() || letter == '_');
                rest.find(is_over).unwrap_or(rest.len())
            }
            letter => letter.len_utf8(),
        };
        let (token, after) = rest.split_at_checked(length)?;
        rest = after;
        if !within {
            match letter {
                ' ' | '\t' | '\n' | '\r' | ',' | '#' => continue,
                '{' => kinds.push(Kind::Query),
                '"' => kinds.push(Kind::Other),
                _ => kinds.push(match token {
                    "query" => Kind::Query,
                    "mutation" => Kind::Mutation,
                    "subscription" => Kind::Subscription,
                    "fragment" => Kind::Fragment,
                    _ => Kind::Other,
                }),
            }
            within = true;
        }
        match letter {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => {
                depth = depth.checked_sub(1)?;
                within = depth > 0 || letter != '}';
            }
            _ => {}
        }
    }
    (depth == 0 && !within).then_some(kinds)
}

/// How long the string at the start of `text` is, with its quotes. Bytes.
fn string(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let starts =
        |at: usize, with: &[u8]| bytes.get(at..).is_some_and(|rest| rest.starts_with(with));
    if starts(0, b"\"\"\"") {
        let mut at = 3;
        loop {
            if starts(at, b"\\\"\"\"") {
                at += 4;
            } else if starts(at, b"\"\"\"") {
                return Some(at + 3);
            } else if at < bytes.len() {
                at += 1;
            } else {
                return None;
            }
        }
    }
    let mut at = 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\n' | b'\r' => return None,
            b'\\' if starts(at + 1, b"\n") || starts(at + 1, b"\r") => return None,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}
