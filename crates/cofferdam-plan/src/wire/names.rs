//! Wire forms of the judge of names and of what it refused.

use cofferdam_policy::judge::names::{Hold, NameRule};
use cofferdam_policy::judge::pattern::Pattern;
use cofferdam_policy::judge::{Entry, Rules};

use super::{Malformed, Wire};
use crate::message::{Denied, Operation};

wire_struct!(Entry { path, access, clause });
wire_struct!(NameRule { hold, top, pattern, clause });
wire_enum!(Hold { 0 => Protect, 1 => ProtectEntry, 2 => GitConfig, 3 => Hide, 4 => Mask });
wire_struct!(Denied { operation, path, clause, why, fix, errno, times });
wire_enum!(Operation {
    0 => Look,
    1 => Read,
    2 => Write,
    3 => Create,
    4 => Remove,
    5 => Rename,
    6 => Link,
    7 => Cut,
    8 => Attributes,
    9 => Bind,
    10 => Connect,
});

impl Wire for Pattern {
    fn put(&self, to: &mut Vec<u8>) {
        self.is_wild().put(to);
        self.text().to_owned().put(to);
    }
    fn take(from: &mut &[u8]) -> Result<Self, Malformed> {
        let wild = bool::take(from)?;
        let text = String::take(from)?;
        let pattern = if wild { Self::new(&text) } else { Self::literal(&text) };
        // A pattern without a letter that stands for others is a name: one spelling.
        if pattern.is_wild() == wild { Ok(pattern) } else { Err(Malformed) }
    }
}

impl Wire for Rules {
    fn put(&self, to: &mut Vec<u8>) {
        self.entries().to_vec().put(to);
        self.names().to_vec().put(to);
        self.sockets().to_vec().put(to);
        self.is_alone().put(to);
    }
    fn take(from: &mut &[u8]) -> Result<Self, Malformed> {
        let entries = Vec::<Entry>::take(from)?;
        // As `new` sorts them: rules have one spelling.
        if !entries.is_sorted_by(|a, b| a.path <= b.path) {
            return Err(Malformed);
        }
        let rules = Self::new(entries).with_names(Vec::take(from)?);
        let rules = rules.with_sockets(Vec::take(from)?);
        Ok(rules.holding_alone(bool::take(from)?))
    }
}
