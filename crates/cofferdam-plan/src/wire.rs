//! The form in which the Plan and the messages travel: length-prefixed, no self-description.
//!
//! Both ends come from one build ([`crate::BUILD`] leads the Plan), so there are no versions. A
//! reader never trusts a length beyond the bytes that are there, and never panics:
//! the test program `fuzz` holds both, and that a value has one spelling.

use std::path::PathBuf;

use cofferdam_policy::judge::Access as View;
use cofferdam_policy::list::List;
use cofferdam_policy::model::{Clause, Shown, Variable};
use cofferdam_policy::output::Canary;

use crate::content::Content;
use crate::coverage::{Coverage, Extent};
use crate::host::Program;
use crate::message::{Order, Report};
use crate::plan::{
    Access, Argument, Aside, Beneath, Bounds, Carrier, Escapes, Expect, Guard, Idmap, Most,
    Opening, Outer, Output, Plan, Redaction, Resource, Spaces, Step, Streams, Word, Workload,
};

/// The bytes are not what this build writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl std::fmt::Display for Malformed {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("malformed message between cofferdam and cofferdam-init")
    }
}

impl std::error::Error for Malformed {}

/// A value with a wire form.
pub trait Wire: Sized {
    /// Appends the value.
    fn put(&self, to: &mut Vec<u8>);
    /// Takes a value from the front of `from`.
    ///
    /// # Errors
    /// [`Malformed`] where the bytes end early or say something that this build does not know.
    fn take(from: &mut &[u8]) -> Result<Self, Malformed>;
}

/// The wire form of `value`.
#[must_use]
pub fn encode<T: Wire>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.put(&mut bytes);
    bytes
}

/// The value of `bytes`, all of them.
///
/// # Errors
/// [`Malformed`], also where bytes are left over.
pub fn decode<T: Wire>(mut bytes: &[u8]) -> Result<T, Malformed> {
    let value = T::take(&mut bytes)?;
    if bytes.is_empty() { Ok(value) } else { Err(Malformed) }
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl Wire for $number {
            fn put(&self, to: &mut Vec<u8>) {
                to.extend_from_slice(&self.to_le_bytes());
            }
            fn take(from: &mut &[u8]) -> Result<Self, Malformed> {
                let (first, rest) = from.split_first_chunk().ok_or(Malformed)?;
                *from = rest;
                Ok(Self::from_le_bytes(*first))
            }
        }
    )*};
}
numbers!(u8, u32, i32, u64);

impl Wire for bool {
    fn put(&self, to: &mut Vec<u8>) {
        u8::from(*self).put(to);
    }
    fn take(from: &mut &[u8]) -> Result<Self, Malformed> {
        match u8::take(from)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed),
        }
    }
}

fn take_bytes<'a>(from: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    let length = usize::try_from(u32::take(from)?).map_err(|_| Malformed)?;
    let (bytes, rest) = from.split_at_checked(length).ok_or(Malformed)?;
    *from = rest;
    Ok(bytes)
}

fn put_bytes(bytes: &[u8], to: &mut Vec<u8>) {
    // A plan is bounded by the memfd that carries it, far below 4 GiB; a longer one is cut off
    // here and refused by the reader, never misread.
    u32::try_from(bytes.len()).unwrap_or(u32::MAX).put(to);
    to.extend_from_slice(bytes);
}

impl Wire for String {
    fn put(&self, to: &mut Vec<u8>) {
        put_bytes(self.as_bytes(), to);
    }
    fn take(from: &mut &[u8]) -> Result<Self, Malformed> {
        Self::from_utf8(take_bytes(from)?.to_vec()).map_err(|_| Malformed)
    }
}

/// Paths are UTF-8: Facts refuses others.
impl Wire for PathBuf {
    fn put(&self, to: &mut Vec<u8>) {
        put_bytes(self.as_os_str().as_encoded_bytes(), to);
    }
    fn take(from: &mut &[u8]) -> Result<Self, Malformed> {
        String::take(from).map(Self::from)
    }
}

impl Wire for Argument {
    fn put(&self, to: &mut Vec<u8>) {
        put_bytes(&self.0, to);
    }
    fn take(from: &mut &[u8]) -> Result<Self, Malformed> {
        Ok(Self(take_bytes(from)?.to_vec()))
    }
}

/// What is made later is written and not read: nobody obeys a plan that waits for something.
impl Wire for Content {
    fn put(&self, to: &mut Vec<u8>) {
        match self {
            Self::Text(text) => {
                u8::put(&0, to);
                text.put(to);
            }
            Self::Bytes(bytes) => {
                u8::put(&1, to);
                put_bytes(bytes, to);
            }
            Self::Later(_) | Self::Holds(_) | Self::Bundle(_) => u8::put(&2, to),
        }
    }
    fn take(from: &mut &[u8]) -> Result<Self, Malformed> {
        match u8::take(from)? {
            0 => String::take(from).map(Self::Text),
            1 => Ok(Self::Bytes(take_bytes(from)?.to_vec())),
            _ => Err(Malformed),
        }
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn put(&self, to: &mut Vec<u8>) {
        u32::try_from(self.len()).unwrap_or(u32::MAX).put(to);
        for item in self {
            item.put(to);
        }
    }
    fn take(from: &mut &[u8]) -> Result<Self, Malformed> {
        let length = u32::take(from)?;
        // No reservation: a false length runs out of bytes before it runs out of memory.
        (0..length).map(|_| T::take(from)).collect()
    }
}

impl<T: Wire> Wire for List<T> {
    fn put(&self, to: &mut Vec<u8>) {
        Vec::put(self, to);
    }
    fn take(from: &mut &[u8]) -> Result<Self, Malformed> {
        Vec::take(from).map(Self::from)
    }
}

impl<T: Wire> Wire for Option<T> {
    fn put(&self, to: &mut Vec<u8>) {
        self.is_some().put(to);
        if let Some(value) = self {
            value.put(to);
        }
    }
    fn take(from: &mut &[u8]) -> Result<Self, Malformed> {
        bool::take(from)?.then(|| T::take(from)).transpose()
    }
}

impl<T: Wire> Wire for Box<T> {
    fn put(&self, to: &mut Vec<u8>) {
        T::put(self, to);
    }
    fn take(from: &mut &[u8]) -> Result<Self, Malformed> {
        T::take(from).map(Self::new)
    }
}

impl<A: Wire, B: Wire> Wire for (A, B) {
    fn put(&self, to: &mut Vec<u8>) {
        self.0.put(to);
        self.1.put(to);
    }
    fn take(from: &mut &[u8]) -> Result<Self, Malformed> {
        Ok((A::take(from)?, B::take(from)?))
    }
}

/// Fields in order.
macro_rules! wire_struct {
    ($name:ident { $($field:ident),* }) => {
        impl Wire for $name {
            fn put(&self, to: &mut Vec<u8>) {
                $(self.$field.put(to);)*
            }
            fn take(from: &mut &[u8]) -> Result<Self, Malformed> {
                Ok(Self { $($field: Wire::take(from)?),* })
            }
        }
    };
}

/// A tag, then the fields of the variant in order.
macro_rules! wire_enum {
    ($name:ident { $($tag:literal => $variant:ident $({ $($field:ident),* })? $(($inner:ident))?),* $(,)? }) => {
        impl Wire for $name {
            fn put(&self, to: &mut Vec<u8>) {
                match self {
                    $(Self::$variant $({ $($field),* })? $(($inner))? => {
                        u8::put(&$tag, to);
                        $($($field.put(to);)*)?
                        $($inner.put(to);)?
                    })*
                }
            }
            fn take(from: &mut &[u8]) -> Result<Self, Malformed> {
                match u8::take(from)? {
                    $($tag => {
                        $($(let $field = Wire::take(from)?;)*)?
                        $(let $inner = Wire::take(from)?;)?
                        Ok(Self::$variant $({ $($field),* })? $(($inner))?)
                    })*
                    _ => Err(Malformed),
                }
            }
        }
    };
}

mod egress;
#[path = "message/wire.rs"]
mod message;
mod names;

wire_struct!(Plan { build, wall, outer, setup, workload, coverage, rules, bounds, egress, output });
wire_struct!(Outer { program, uid, before, options, again });
wire_enum!(Word { 0 => Text(text), 1 => Content(content), 2 => Said });
wire_struct!(Program { path, dev, ino });
wire_struct!(Output { escapes, escapes_clause, redaction, redaction_clause, most });
wire_struct!(Most { bytes, clause });
wire_struct!(Canary { name, text, clause });
wire_enum!(Escapes { 0 => Safe, 1 => Always, 2 => Raw });
wire_enum!(Redaction { 0 => On, 1 => Off });
wire_struct!(Bounds { memory, processes, own_processes, cpus, file_size, wall_time, grace });
wire_struct!(Workload { command, search, environment, masked, directory, streams });
wire_struct!(Streams { input, output, error });
wire_enum!(Carrier { 0 => Pipe, 1 => Terminal });
wire_struct!(Variable { name, value, shown, clause });
wire_struct!(Clause { name, file, line });
wire_struct!(Coverage { clause, says, mechanisms, extent });
wire_struct!(Beneath { path, expect, rights });
wire_struct!(Opening { path, expect, access, idmap, target });
/// As [`Content`]: a variable that waits for its value is not read.
impl Wire for Shown {
    fn put(&self, to: &mut Vec<u8>) {
        let tag: u8 = match self {
            Self::Value => 0,
            Self::NameOnly => 1,
            Self::StandIn => 2,
        };
        tag.put(to);
    }
    fn take(from: &mut &[u8]) -> Result<Self, Malformed> {
        match u8::take(from)? {
            0 => Ok(Self::Value),
            1 => Ok(Self::NameOnly),
            _ => Err(Malformed),
        }
    }
}
wire_enum!(Extent { 0 => Enforced, 1 => Partly { open } });
wire_enum!(Access { 0 => ReadOnly, 1 => ReadWrite, 2 => Device });
wire_enum!(Idmap { 0 => None, 1 => Required, 2 => IfPossible });
wire_enum!(Guard { 0 => Kill, 1 => Note });
wire_enum!(Spaces { 0 => Mount, 1 => Inside });
wire_enum!(Aside {
    0 => Network,
    1 => Loopback,
    2 => EveryAddress { ipv6 },
    3 => Sockets { sockets },
});
wire_enum!(Resource { 0 => Processes, 1 => OpenFiles, 2 => FileSize, 3 => Data, 4 => Signals });
wire_enum!(Expect { 0 => Inode { dev, ino }, 1 => Device { major, minor } });
wire_enum!(View {
    0 => Absent,
    1 => ReadOnly,
    2 => ReadWrite,
    3 => Private,
    4 => Hidden,
    5 => Guarded,
    6 => Ours,
    7 => AppendOnly,
    8 => NoDelete,
});
wire_enum!(Step {
    0 => Unshare { spaces },
    1 => Become { uid, gid },
    2 => MapIds { uid, gid },
    3 => Fork { aside },
    4 => MakePrivate,
    5 => IdmapNamespace { uid, gid },
    6 => Open(opening),
    7 => Hostname { name },
    8 => JoinNetwork,
    9 => NewRoot,
    10 => Directory { path, mode },
    11 => File { path, content, mode },
    12 => Link { path, to },
    13 => Tmpfs { path, mode, bytes, files },
    14 => Devpts { path, terminals },
    15 => Proc { path, access },
    16 => Attach { target, guard },
    17 => Bind { from, at, expect, access, guard },
    18 => Pivot,
    19 => NoCoreDumps,
    20 => NoNewPrivileges,
    21 => Landlock { handled, rules },
    22 => DropCapabilities,
    23 => WorkloadLandlock { handled, scoped, rules },
    24 => Seccomp { program },
    25 => InitSeccomp { program },
    26 => Limit { resource, soft, hard },
    27 => KilledFirst { score },
    28 => Broker { program, threads },
    29 => Listen { path },
    40 => Found { at, expect, access, guard, name },
    41 => Here { parts },
    42 => ThisRoot,
    43 => Seal,
    30 => Subreaper,
    31 => LandlockOnHost { handled, network, scoped, rules, terminal },
    32 => Terminal,
});
wire_enum!(Report {
    0 => Ready { build, watched },
    1 => Failed { step, doing, errno },
    2 => NotStarted { errno },
    3 => Fell { path, kills },
    4 => Exited { status, signal },
    5 => Forked { pid },
    6 => Terminal,
    7 => Stopped { signal },
    8 => Sockets,
    9 => Denied(denied),
    10 => Agent,
});
wire_enum!(Order { 0 => Go, 1 => Signal { number }, 2 => Foreground });
