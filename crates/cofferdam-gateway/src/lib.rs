//! The gateway: the only way out of a sandbox.
//!
//! It accepts connections in the sandbox's own network namespace, on listening sockets that
//! `cofferdam-init` made there, judges each by the name that it is for, and dials. Bytes judged are
//! bytes sent: what a parser here has read is what goes out, and what it cannot read without doubt
//! is refused.
//!
//! It is a process of its own, one for each sandbox. It reads the resolver's configuration, then gives
//! up files, programs and processes, and only then hears anything of the workload's. The engine keeps
//! its record; without a place in the log nothing is let through.
#![cfg(target_os = "linux")]

pub mod agent;
pub mod answer;
pub mod authority;
mod bearing;
pub mod body;
pub mod coding;
mod confine;
mod content;
mod control;
mod credentials;
mod crowd;
pub mod denial;
mod direct;
pub mod dns;
mod doors;
pub mod fields;
pub mod foreign;
pub mod forms;
pub mod frames;
mod gate;
pub mod graphql;
pub mod head;
pub mod hello;
pub mod http2;
mod inside;
mod inspect;
mod json;
pub mod jsonrules;
mod logins;
mod oauth;
pub mod packets;
mod percent;
mod proxy;
mod published;
mod questions;
pub mod ranges;
pub mod rate;
mod relay;
mod reply;
mod rules;
pub mod scrub;
pub mod sigv4;
pub mod socks;
pub mod stand_in;
mod stream;
pub mod synthetic;
mod tunnel;
pub mod upstream;
pub mod vault;

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::rc::Rc;

use cofferdam_plan::BUILD;
use cofferdam_plan::credentials::first_login;
use cofferdam_plan::egress::{Door, Egress};
use cofferdam_plan::message::{Believed, FromGateway, Lent, ToGateway};
use cofferdam_sys::process::close_from;
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;

use crate::control::{Given, Ledger};
use crate::credentials::Credentials;
use crate::crowd::Crowd;
use crate::gate::Gate;
use crate::inspect::Inspector;
use crate::questions::Questions;
use crate::rules::Rules;
use crate::synthetic::Synthetic;
use crate::upstream::Upstream;

/// What init made.
type Doors = (Vec<(Door, OwnedFd)>, Option<OwnedFd>);

/// What went wrong before anything was heard.
#[derive(Debug)]
struct Failed {
    doing: String,
    errno: i32,
}

trait Doing<T> {
    fn doing(self, what: impl fmt::Display) -> Result<T, Failed>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, what: impl fmt::Display) -> Result<T, Failed> {
        self.map_err(|error| {
            let errno = error.into().raw_os_error().unwrap_or(0);
            Failed { doing: what.to_string(), errno }
        })
    }
}

/// The whole program. Descriptor 1 is the socketpair with the engine. A first word makes it one of the
/// processes that the gateway starts for its secrets.
#[must_use]
pub fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    match words.next() {
        Some(word) if word == vault::writer::WORD => return vault::writer::main(),
        Some(word) if word == vault::reader::WORD => return vault::reader::main(),
        Some(word) if word == vault::keychain::WORD => return vault::keychain::main(words.next()),
        Some(_) | None => {}
    }
    // Before anything is opened here: what cofferdam's caller left open is not the gateway's.
    let closed = close_from(3).doing("close what was left open");
    let Ok(engine) = io::stdout().as_fd().try_clone_to_owned() else {
        // Not started by the engine, and nobody to tell.
        return ExitCode::from(125);
    };
    match closed
        .and_then(|()| prepare(&engine))
        .and_then(|prepared| run(engine.try_clone().doing("hold the socket")?, prepared))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed { doing, errno }) => {
            // The engine may be gone; then nobody is left to tell.
            drop(control::say(&engine, &FromGateway::Failed { doing, errno }));
            ExitCode::from(125)
        }
    }
}

/// What was read and held before the gateway was confined, and what it got.
struct Prepared {
    egress: Egress,
    names: Synthetic,
    upstream: Upstream,
    inspector: Option<Inspector>,
    credentials: Rc<Credentials>,
    doors: Vec<(Door, OwnedFd)>,
    /// The socket of the agent of ssh.
    agent: Option<OwnedFd>,
    published: Vec<std::net::TcpListener>,
    tokio: Runtime,
    connections: usize,
}

fn prepare(engine: &OwnedFd) -> Result<Prepared, Failed> {
    confine::unreadable().doing("switch core dumps and tracing off")?;
    rustix::process::chdir("/").doing("leave the caller's directory")?;
    let connections = doors::connections(confine::descriptors());
    let tokio = Builder::new_current_thread().enable_all().build().doing("make a reactor")?;
    let Begin { egress, believed, lent, user } = begin(engine)?;
    let upstream = Upstream::read(egress.upstream_proxy.clone(), &egress.rules);
    let upstream = upstream.doing("read the resolver's configuration")?;
    let inspector = inspector(&egress, believed, engine)?;
    let credentials = credentials(&egress, lent.unwrap_or_default(), engine)?;
    let published = published::listeners(&egress.publish).map_err(|(at, error)| Failed {
        doing: format!("publish a port at {at}"),
        errno: error.raw_os_error().unwrap_or(0),
    })?;
    if let Some(user) = user {
        confine::become_user(user).doing("become the workload's user")?;
    }
    let assigned = egress.names.iter().map(|row| (row.name.clone(), row.v4, row.v6));
    let names = Synthetic::new(assigned).map_err(|_| Failed {
        doing: "read a plan whose names have addresses of their own".into(),
        errno: 0,
    })?;
    let (doors, agent) = doors_of(engine, &egress)?;
    confine::confine().doing("confine the gateway")?;
    Ok(Prepared {
        egress,
        names,
        upstream,
        inspector,
        credentials,
        doors,
        agent,
        published,
        tokio,
        connections,
    })
}

/// What the engine gives first.
struct Begin {
    /// The gateway's part of the plan.
    egress: Egress,
    /// Where it looks into TLS.
    believed: Option<Believed>,
    /// What secrets are found with, where there are credentials.
    lent: Option<Lent>,
    user: Option<(u32, u32)>,
}

fn begin(engine: &OwnedFd) -> Result<Begin, Failed> {
    let Given { order, fds } = control::receive(engine).doing("receive a plan")?;
    let ToGateway::Egress { user } = order else {
        return Err(Failed { doing: "be given a plan first".into(), errno: 0 });
    };
    let mut fds = fds.into_iter();
    let doing = "read a plan of this build: reinstall cofferdam";
    let egress: Egress = control::written(fds.next()).doing(doing)?;
    let believed = egress.rules.inspects().then(|| control::written(fds.next()));
    let believed = believed.transpose().doing(doing)?;
    let lent = (!egress.credentials.is_empty()).then(|| control::written(fds.next()));
    let lent = lent.transpose().doing(doing)?;
    Ok(Begin { egress, believed, lent, user })
}

/// Where a rule looks into TLS: the session's authority, of which the engine is told, and whom hosts are
/// believed by. Without either nothing is let through.
fn inspector(
    egress: &Egress,
    believed: Option<Believed>,
    engine: &OwnedFd,
) -> Result<Option<Inspector>, Failed> {
    if !egress.rules.inspects() {
        return Ok(None);
    }
    let failed = |doing| Failed { doing, errno: 0 };
    let issuer = inspect::issuer(&egress.rules.inspected_patterns()).map_err(failed)?;
    // At once: init waits for it, and reading hundreds of certificates takes a while.
    let certificate = issuer.certificate().to_vec();
    let told = control::say(engine, &FromGateway::Authority { certificate });
    told.doing("tell the engine of the authority")?;
    Ok(Some(Inspector::new(issuer, believed.unwrap_or_default()).map_err(failed)?))
}

/// Gets the secrets, and tells the engine what stands in for each; or why one cannot be had.
fn credentials(egress: &Egress, lent: Lent, engine: &OwnedFd) -> Result<Rc<Credentials>, Failed> {
    let said = |message: &FromGateway| {
        control::say(engine, message).doing("tell the engine of credentials")
    };
    match Credentials::read(&egress.credentials, &egress.canaries, lent) {
        Ok(found) => {
            if !egress.credentials.is_empty() {
                said(&FromGateway::StandIns { made: found.stand_ins() })?;
            }
            Ok(Rc::new(found))
        }
        Err(lacking) => {
            said(&FromGateway::Lacks(lacking))?;
            Err(Failed { doing: "get a credential".into(), errno: 0 })
        }
    }
}

/// The sockets that init made, each with what it is for; and that of the agent of ssh, where a credential is
/// a key. Pid 1 makes the latter meanwhile.
fn doors_of(engine: &OwnedFd, egress: &Egress) -> Result<Doors, Failed> {
    let (mut sockets, mut agent) = (Vec::new(), None);
    let has_agent = first_login(&egress.credentials).is_some();
    while sockets.len() < egress.doors.len() || (has_agent && agent.is_none()) {
        let Given { order, fds } = control::receive(engine).doing("receive the sockets")?;
        match order {
            ToGateway::Sockets if !fds.is_empty() => sockets.extend(fds),
            ToGateway::Agent if agent.is_none() && !fds.is_empty() => {
                agent = fds.into_iter().next()
            }
            ToGateway::Sockets
            | ToGateway::Agent
            | ToGateway::Egress { .. }
            | ToGateway::Room { .. }
            | ToGateway::Rules { .. }
            | ToGateway::Answer { .. }
            | ToGateway::Revoke { .. }
            | ToGateway::Rotate { .. }
            | ToGateway::Finish => {
                return Err(Failed { doing: "receive the sockets of the plan".into(), errno: 0 });
            }
        }
    }
    Ok((egress.doors.iter().copied().zip(sockets).collect(), agent))
}

/// Hears until the engine says that the workload is gone.
fn run(engine: OwnedFd, prepared: Prepared) -> Result<(), Failed> {
    let Prepared {
        egress,
        names,
        upstream,
        inspector,
        credentials,
        doors,
        agent,
        published,
        tokio,
        connections,
    } = prepared;
    let said = engine.try_clone().doing("hold the socket")?;
    let local = LocalSet::new();
    let gate = {
        let _inside = tokio.enter();
        let ledger = Ledger::new(engine).doing("hear the engine")?;
        credentials.hear().doing("hear who reads secrets")?;
        let opened = egress.names.iter().map(|row| row.name.clone()).collect();
        Rc::new(Gate {
            rules: Rules::new(egress.rules.clone()),
            questions: Questions::new(egress.approve),
            egress,
            inspector,
            credentials,
            names: RefCell::new(names),
            upstream,
            ledger,
            spares: RefCell::default(),
            opened: RefCell::new(opened),
            crowd: Rc::new(Crowd::new(connections)),
            room: Rc::default(),
        })
    };
    let tells = Rc::downgrade(&gate);
    gate.credentials.tell_by(move |message| {
        if let Some(gate) = tells.upgrade() {
            gate.ledger.send(message);
        }
    });
    let served = local.block_on(&tokio, async {
        doors::open(&gate, doors).doing("hear on the sockets")?;
        logins::open(&gate, agent).doing("hear on the agent's socket")?;
        published::open(&gate, published).doing("hear on published ports")?;
        let ready = FromGateway::Ready { build: BUILD.into() };
        control::say(&said, &ready).doing("report to the engine")?;
        tokio::select! {
            () = gate.ledger.obey(|order, fds| gate.obey(order, fds)) => {}
            () = gate.ledger.deliver() => {}
        }
        Ok(())
    });
    // Every connection that is left ends here, and says so.
    drop(local);
    tokio.block_on(gate.ledger.close());
    served
}
