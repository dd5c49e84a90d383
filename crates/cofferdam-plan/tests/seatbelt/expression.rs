//! A small engine for the regular expressions of profiles: bytes, without back-references, in time
//! linear in the text. Knows letters, `\` before a mark, `.`, `[…]`, `(…)`, `|`, `*`, `+`, `?`, `^`, `$`.

use std::cell::RefCell;

/// One step of a program.
enum Op {
    /// A byte of the set.
    Byte(Box<[bool; 256]>),
    /// Go on at both.
    Split(usize, usize),
    Jump(usize),
    Start,
    End,
    Match,
}

enum Node {
    Empty,
    Byte(Box<[bool; 256]>),
    Start,
    End,
    Each(Vec<Node>),
    Either(Vec<Node>),
    /// Least and, where it is bounded, most: `*` 0, `+` 1, `?` 0 to 1.
    Times(Box<Node>, bool, bool),
}

/// What a profile's `regex` looks for.
pub(crate) struct Expression {
    ops: Vec<Op>,
    /// What was asked last, and the answer: one path is asked about many times.
    last: RefCell<Option<(Vec<u8>, bool)>>,
}

impl Expression {
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        let mut reader = Reader { text: text.as_bytes(), at: 0 };
        let node = reader.either()?;
        if reader.at < text.len() {
            return Err(format!("a bracket too many at {} of {text}", reader.at));
        }
        let mut ops = Vec::new();
        emit(&node, &mut ops);
        ops.push(Op::Match);
        Ok(Self { ops, last: RefCell::default() })
    }

    /// Whether it is found anywhere in `text`.
    pub(crate) fn finds(&self, text: &[u8]) -> bool {
        if let Some((_, found)) = self.last.borrow().as_ref().filter(|(last, _)| last == text) {
            return *found;
        }
        let found = self.search(text);
        *self.last.borrow_mut() = Some((text.to_vec(), found));
        found
    }

    fn search(&self, text: &[u8]) -> bool {
        let mut marks = vec![usize::MAX; self.ops.len()];
        let mut here = Vec::new();
        for at in 0..=text.len() {
            if self.add(0, (at, text.len()), &mut marks, &mut here) {
                return true;
            }
            let Some(byte) = text.get(at) else { break };
            let (mut next, mut found) = (Vec::new(), false);
            for place in &here {
                if let Op::Byte(set) = &self.ops[*place]
                    && set[usize::from(*byte)]
                {
                    found |= self.add(place + 1, (at + 1, text.len()), &mut marks, &mut next);
                }
            }
            if found {
                return true;
            }
            here = next;
            if here.is_empty() && matches!(self.ops.first(), Some(Op::Start)) {
                return false;
            }
        }
        false
    }

    /// Adds `place` and what follows from it without a byte to `to`; whether that is the end. `marks` say
    /// at which byte each was added last.
    fn add(
        &self,
        place: usize,
        (at, length): (usize, usize),
        marks: &mut [usize],
        to: &mut Vec<usize>,
    ) -> bool {
        let mut todo = vec![place];
        let mut found = false;
        while let Some(place) = todo.pop() {
            if std::mem::replace(&mut marks[place], at) == at {
                continue;
            }
            match &self.ops[place] {
                Op::Byte(_) => to.push(place),
                Op::Split(one, other) => todo.extend([*one, *other]),
                Op::Jump(to) => todo.push(*to),
                Op::Start if at == 0 => todo.push(place + 1),
                Op::End if at == length => todo.push(place + 1),
                Op::Start | Op::End => {}
                Op::Match => found = true,
            }
        }
        found
    }
}

fn emit(node: &Node, ops: &mut Vec<Op>) {
    match node {
        Node::Empty => {}
        Node::Byte(set) => ops.push(Op::Byte(set.clone())),
        Node::Start => ops.push(Op::Start),
        Node::End => ops.push(Op::End),
        Node::Each(nodes) => nodes.iter().for_each(|node| emit(node, ops)),
        Node::Either(nodes) => {
            let mut ends = Vec::new();
            for (number, node) in nodes.iter().enumerate() {
                let split = ops.len();
                let is_last = number + 1 == nodes.len();
                if !is_last {
                    ops.push(Op::Split(split + 1, 0));
                }
                emit(node, ops);
                if !is_last {
                    ends.push(ops.len());
                    ops.push(Op::Jump(0));
                    ops[split] = Op::Split(split + 1, ops.len());
                }
            }
            let end = ops.len();
            ends.into_iter().for_each(|at| ops[at] = Op::Jump(end));
        }
        Node::Times(node, at_least_one, once) => {
            if *at_least_one {
                emit(node, ops);
            }
            let split = ops.len();
            ops.push(Op::Split(split + 1, 0));
            emit(node, ops);
            if !once {
                ops.push(Op::Jump(split));
            }
            ops[split] = Op::Split(split + 1, ops.len());
        }
    }
}

struct Reader<'t> {
    text: &'t [u8],
    at: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<u8> {
        let byte = self.text.get(self.at).copied();
        self.at += usize::from(byte.is_some());
        byte
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn either(&mut self) -> Result<Node, String> {
        let mut nodes = vec![self.each()?];
        while self.peek() == Some(b'|') {
            self.at += 1;
            nodes.push(self.each()?);
        }
        Ok(Node::Either(nodes))
    }

    fn each(&mut self) -> Result<Node, String> {
        let mut nodes = Vec::new();
        while let Some(byte) = self.peek().filter(|byte| !b"|)".contains(byte)) {
            self.at += 1;
            let node = match byte {
                b'^' => Node::Start,
                b'$' => Node::End,
                b'.' => Node::Byte(Box::new([true; 256])),
                b'[' => self.set()?,
                b'(' => {
                    let node = if self.peek() == Some(b')') { Node::Empty } else { self.either()? };
                    if self.next() != Some(b')') {
                        return Err("a bracket is open".into());
                    }
                    node
                }
                b'*' | b'+' | b'?' => return Err("nothing is repeated".into()),
                b'{' | b'}' | b']' => return Err("not known here".into()),
                b'\\' => {
                    let byte = self.next().filter(u8::is_ascii_punctuation);
                    one(byte.ok_or("a backslash before a letter, or nothing")?)
                }
                byte => one(byte),
            };
            nodes.push(self.times(node));
        }
        Ok(Node::Each(nodes))
    }

    fn times(&mut self, node: Node) -> Node {
        let (least, once) = match self.peek() {
            Some(b'*') => (false, false),
            Some(b'+') => (true, false),
            Some(b'?') => (false, true),
            _ => return node,
        };
        self.at += 1;
        Node::Times(Box::new(node), least, once)
    }

    fn set(&mut self) -> Result<Node, String> {
        let not = self.peek() == Some(b'^');
        self.at += usize::from(not);
        let mut set = Box::new([false; 256]);
        let mut is_first = true;
        loop {
            let from = self.next().ok_or("a set is open")?;
            if from == b']' && !is_first {
                break;
            }
            is_first = false;
            let to = match self.text.get(self.at..self.at + 2) {
                Some([b'-', to]) if *to != b']' => {
                    self.at += 2;
                    *to
                }
                _ => from,
            };
            if to < from || !from.is_ascii() || !to.is_ascii() {
                return Err("a set of ASCII, in order, is meant".into());
            }
            (from..=to).for_each(|byte| set[usize::from(byte)] = true);
        }
        if not {
            set.iter_mut().for_each(|byte| *byte = !*byte);
        }
        Ok(Node::Byte(set))
    }
}

fn one(byte: u8) -> Node {
    let mut set = Box::new([false; 256]);
    set[usize::from(byte)] = true;
    Node::Byte(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_find_what_they_say() {
        for (expression, text, want) in [
            ("a", "xax", true),
            ("^a", "xa", false),
            ("^a$", "a", true),
            ("^a$", "a\n", false),
            ("a|b", "xb", true),
            ("^(a|bc)d$", "bcd", true),
            ("^(a|bc)d$", "acd", false),
            ("^a*b$", "aaab", true),
            ("^a+b$", "b", false),
            ("^a?b$", "aab", false),
            ("^[a-c]+$", "abcab", true),
            ("^[^a-c]+$", "xyb", false),
            ("^[^ -~]*$", "\u{e9}\n", true),
            ("^[^ -~]*$", "e", false),
            ("^\\.$", "x", false),
            ("^.$", "x", true),
            ("^(/[^/]*)*/b(/|$)", "/b", true),
            ("^(/[^/]*)*/b(/|$)", "/a/b/c", true),
            ("^(/[^/]*)*/b(/|$)", "/a/bc", false),
            ("^(\u{e9}|e)$", "\u{e9}", true),
            ("(a*)*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac", false),
        ] {
            let read = Expression::new(expression).unwrap();
            assert_eq!(read.finds(text.as_bytes()), want, "{expression} {text:?}");
        }
        for wrong in ["(a", "a)", "[a", "*a", "a{2}", "[b-a]", "\\w", "a\\"] {
            assert!(Expression::new(wrong).is_err(), "{wrong}");
        }
    }
}
