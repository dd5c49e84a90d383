//! The thread of a session's control socket: hears who asks, reads policies, asks persons.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use cofferdam_audit as audit;
use cofferdam_audit::Event;
use cofferdam_plan::message::Question;
use cofferdam_policy::judge::hosts::{Allowed, HostRules};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt::socket_peercred;
use rustix::net::{SocketFlags, accept_with};

use super::again::{Again, Reread};
use super::desk::Desk;
use super::error::SessionError;
use super::line::{Deed, Thread, Told};
use super::peer::{Came, Peer};
use super::place::{Listener, is_trusted};
use super::questions::{Heard, Open, Questions, Why, rule};
use super::speech::{Ask, Asked, Drawn, Reply, Running, Told as Refusal};
use crate::refused::Refused;

/// Peers at once: a person has few terminals, and a script asks one thing after another.
const PEERS_MAX: usize = 16;
/// How long the gateway may take to say that rules hold: it does so between two packets.
const APPLIED_WITHIN: Duration = Duration::from_secs(10);
/// How an error is drawn for nobody.
const PLAIN: Drawn = Drawn { color: false, columns: 80 };

/// All that the thread knows.
#[derive(Debug)]
pub(super) struct Server {
    line: Thread,
    listener: Listener,
    peers: Vec<Peer>,
    peers_so_far: u64,
    again: Again,
    session: Running,
    /// The rules that hold, or are on their way.
    rules: HostRules,
    /// The last number that rules got.
    numbered: u32,
    approved: Vec<(u32, Allowed)>,
    pending: Option<Pending>,
    questions: Questions,
    /// Denied without asking: the last of each kind, and how many are in no record.
    unasked: Vec<(Why, Question, u64)>,
    desk: Option<Desk>,
}

/// What is done with a credential.
#[derive(Clone, Copy, Debug)]
enum Verb {
    Revoke,
    Rotate,
}

/// A policy that was sent, and the gateway has not said that it holds.
#[derive(Debug)]
struct Pending {
    peer: u64,
    uid: u32,
    drawn: Drawn,
    generation: u32,
    before: HostRules,
    reread: Reread,
    until: Instant,
}

/// What a session begins with.
#[derive(Debug)]
pub(super) struct Begin {
    pub(super) again: Again,
    pub(super) session: Running,
    pub(super) rules: HostRules,
    pub(super) desk: Option<Desk>,
}

impl Server {
    pub(super) fn new(begin: Begin, line: Thread, listener: Listener) -> Self {
        let Begin { again, session, rules, desk } = begin;
        Self {
            line,
            listener,
            peers: Vec::new(),
            peers_so_far: 0,
            again,
            session,
            rules,
            numbered: 0,
            approved: Vec::new(),
            pending: None,
            questions: Questions::default(),
            unasked: Vec::new(),
            desk,
        }
    }

    /// Serves until the session is over.
    pub(super) fn serve(mut self) {
        while let Ok(typed) = self.wait() {
            loop {
                match self.line.hear() {
                    Ok(None) => break,
                    Ok(Some(Told::Over)) | Err(()) => return self.sum_up(),
                    Ok(Some(told)) => self.hear(told),
                }
            }
            self.accept();
            self.late();
            if typed && let Some((id, allowed)) = self.desk.as_mut().and_then(Desk::read) {
                let by = rustix::process::getuid().as_raw();
                if let Err(error) = self.answer(id, allowed, by)
                    && let Some(desk) = &self.desk
                {
                    desk.tell(&format!("  {error}\n"));
                }
            }
            self.obey_all();
            self.show();
            let now = Instant::now();
            self.peers.retain(|peer| !peer.is_over(now));
        }
        self.sum_up();
    }

    /// Waits until something can be done; whether it is that somebody typed.
    fn wait(&self) -> io::Result<bool> {
        let now = Instant::now();
        let open = self.questions.open().len();
        let desk = self.desk.as_ref();
        // An answer waits for the policy that is on its way.
        let typing = desk.filter(|_| self.pending.is_none()).and_then(Desk::typing);
        let typing = typing.map(|fd| (fd, PollFlags::IN));
        let room = self.peers.len() < PEERS_MAX;
        let new = room.then(|| (self.listener.fd.as_fd(), PollFlags::IN));
        let bell = (self.line.bell(), PollFlags::IN);
        let peers = self.peers.iter().filter(|peer| !peer.waits).filter_map(Peer::polled);
        let polled: Vec<(BorrowedFd<'_>, PollFlags)> =
            typing.into_iter().chain([bell]).chain(new).chain(peers).collect();
        let mut fds: Vec<PollFd<'_>> =
            polled.iter().map(|(fd, flags)| PollFd::from_borrowed_fd(*fd, *flags)).collect();
        let due = self.peers.iter().filter_map(Peer::due);
        let due = due.chain(self.questions.due()).chain(self.pending.as_ref().map(|p| p.until));
        let due = due.chain(desk.and_then(|desk| desk.due(open, now))).min();
        let left = due.map(|due| due.saturating_duration_since(now) + Duration::from_millis(1));
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut fds, left.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(typing.is_some() && fds.first().is_some_and(|fd| !fd.revents().is_empty()))
    }

    fn accept(&mut self) {
        while self.peers.len() < PEERS_MAX {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let Ok(fd) = accept_with(&self.listener.fd, flags) else { return };
            let Ok(who) = socket_peercred(&fd) else { continue };
            self.peers_so_far += 1;
            let uid = who.uid.as_raw();
            let mut peer = Peer::new(self.peers_so_far, uid, fd, Instant::now());
            if !is_trusted(uid) {
                let refused = SessionError::Another { uid }.into();
                peer.say(&refusal(&refused, PLAIN), Instant::now());
                continue;
            }
            self.peers.push(peer);
        }
    }

    /// What the loop says.
    fn hear(&mut self, told: Told) {
        match told {
            Told::Applied(generation) => self.applied(generation, None),
            Told::NotRecorded(generation) => self.take_back(generation, SessionError::NotRecorded),
            Told::NotTaken(generation) => self.take_back(generation, SessionError::NotTaken),
            Told::Asks(question) => self.asked(question),
            Told::AsksNoMore(id) => self.questions.no_more(id),
            Told::Over => {}
        }
    }

    /// The rules of this number hold; or, with an error, nobody knows, and they are the last ones.
    fn applied(&mut self, generation: u32, unsure: Option<SessionError>) {
        self.session.generation = self.session.generation.max(generation);
        let Some(pending) = self.pending.take_if(|pending| pending.generation == generation) else {
            return;
        };
        let rules = self.rules.allow.len();
        self.session.policy.clone_from(&pending.reread.document.source.name);
        self.again.document = pending.reread.document;
        let reply = match unsure {
            None => Reply::Live { generation, rules },
            Some(error) => refusal(&error.into(), pending.drawn),
        };
        self.say_to(pending.peer, &reply);
    }

    /// The rules of this number were not sent: those before it hold.
    fn take_back(&mut self, generation: u32, error: SessionError) {
        if let Some(at) = self.approved.iter().position(|(number, _)| *number == generation) {
            let (_, rule) = self.approved.remove(at);
            if let Some(at) = self.rules.allow.iter().rposition(|allowed| *allowed == rule) {
                self.rules.allow.remove(at);
            }
        }
        if let Some(pending) = self.pending.take_if(|pending| pending.generation == generation) {
            self.rules = pending.before;
            let error = error.into();
            self.put_refusal_on_record(&pending.reread.document.source.name, &error, pending.uid);
            self.say_to(pending.peer, &refusal(&error, pending.drawn));
        }
    }

    fn asked(&mut self, question: Question) {
        let id = question.id;
        match self.questions.hear(question.clone(), &self.rules, Instant::now()) {
            Heard::Asked => self.tell_watchers(),
            Heard::Joined => {}
            Heard::Yes => drop(self.line.say(Deed::Repeat { question: id })),
            Heard::No(why) => {
                // Said once, and counted from then on.
                let event = match self.unasked.iter_mut().find(|(known, ..)| *known == why) {
                    Some((_, last, count)) => {
                        (*last, *count) = (question, *count + 1);
                        None
                    }
                    None => {
                        let event = Event::Refused(Box::new(told(&question, None, why.words(), 1)));
                        self.unasked.push((why, question, 0));
                        Some(event)
                    }
                };
                self.line.say(Deed::Deny { event, questions: vec![id] });
            }
        }
    }

    /// Whatever has waited for too long.
    fn late(&mut self) {
        let now = Instant::now();
        let late = self.questions.late(now);
        for open in &late {
            self.deny(open, None, "nobody answered in time");
        }
        if !late.is_empty() {
            self.tell_watchers();
        }
        if let Some(generation) =
            self.pending.as_ref().filter(|pending| pending.until <= now).map(|p| p.generation)
        {
            self.applied(generation, Some(SessionError::NotConfirmed));
        }
    }

    fn obey_all(&mut self) {
        for peer in &mut self.peers {
            peer.read();
            peer.write();
        }
        let numbers: Vec<u64> = self.peers.iter().map(|peer| peer.number).collect();
        for number in numbers {
            // Whoever asks waits for the policy that is on its way: one judges by the other.
            while self.pending.is_none() {
                let peer = self.peers.iter_mut().find(|peer| peer.number == number);
                let Some((uid, came)) = peer.and_then(|peer| Some((peer.uid, peer.next()?))) else {
                    break;
                };
                match came {
                    Came::Ask(ask) => self.obey(number, uid, ask),
                    Came::Noise => {
                        self.say_to(number, &refusal(&SessionError::Build.into(), PLAIN));
                        if let Some(peer) = self.peer(number) {
                            peer.end();
                        }
                        break;
                    }
                }
            }
        }
    }

    fn obey(&mut self, number: u64, uid: u32, ask: Ask) {
        let reply = match ask {
            Ask::Describe {} => Reply::Session(Box::new(self.session.clone())),
            Ask::Questions {} => Reply::Questions { open: self.open() },
            Ask::Watch {} if self.session.approve => {
                if let Some(peer) = self.peer(number) {
                    peer.watches = true;
                }
                Reply::Questions { open: self.open() }
            }
            Ask::Watch {} => refusal(&SessionError::NotAsking.into(), PLAIN),
            Ask::Answer { id, allowed } => match self.answer(id, allowed, uid) {
                Ok(()) => Reply::Answered { id, allowed },
                Err(error) => refusal(&error.into(), PLAIN),
            },
            Ask::Revoke { credential } => self.credential(credential, uid, Verb::Revoke),
            Ask::Rotate { credential } => self.credential(credential, uid, Verb::Rotate),
            Ask::Apply { file, drawn } => match self.apply(&file, (number, uid), drawn) {
                None => return,
                Some(reply) => reply,
            },
        };
        self.say_to(number, &reply);
    }

    /// Has something done with a credential of the session's.
    fn credential(&self, name: String, by: u32, verb: Verb) -> Reply {
        if !self.session.credentials.contains(&name) {
            let known = self.session.credentials.clone();
            return refusal(&SessionError::NoCredential { name, known }.into(), PLAIN);
        }
        let credential = name.clone();
        self.line.say(match verb {
            Verb::Revoke => Deed::Revoke {
                event: Event::CredentialRevoked { credential: name.clone(), by },
                name,
            },
            Verb::Rotate => Deed::Rotate {
                event: Event::CredentialRotated { credential: name.clone(), by },
                name,
            },
        });
        Reply::Told { credential }
    }

    /// Reads a policy and sends its rules; what can be said at once.
    fn apply(&mut self, file: &Path, (peer, uid): (u64, u32), drawn: Drawn) -> Option<Reply> {
        let name = file.display().to_string();
        let approved: Vec<Allowed> = self.approved.iter().map(|(_, rule)| rule.clone()).collect();
        let reread = match self.again.read(file, &approved) {
            Ok(reread) => reread,
            Err(error) => {
                self.put_refusal_on_record(&name, &error, uid);
                return Some(refusal(&error, drawn));
            }
        };
        let rules = match &reread.rules {
            Ok(rules) => rules.clone(),
            Err(because) => {
                let because: Vec<String> = because.iter().map(ToString::to_string).collect();
                let (code, why) = ("restart".to_owned(), because.join("; "));
                let event = Event::PolicyRefused { source: name, code, why, by: uid };
                self.line.say(Deed::Record(event));
                return Some(Reply::Restart { because });
            }
        };
        let generation = self.number();
        let event = Event::PolicyApplied {
            generation,
            source: name,
            sha256: reread.sha256.clone(),
            rules: rules.allow.len(),
            by: uid,
        };
        let before = std::mem::replace(&mut self.rules, rules.clone());
        let until = Instant::now() + APPLIED_WITHIN;
        self.pending = Some(Pending { peer, uid, drawn, generation, before, reread, until });
        if let Some(peer) = self.peer(peer) {
            peer.waits = true;
        }
        self.line.say(Deed::Apply { event, generation, rules: Box::new(rules) });
        None
    }

    fn put_refusal_on_record(&self, source: &str, refused: &Refused, by: u32) {
        let (code, why) = (refused.code().into(), refused.to_string());
        let event = Event::PolicyRefused { source: source.into(), code, why, by };
        self.line.say(Deed::Record(event));
    }

    /// What a person says to a question.
    fn answer(&mut self, id: u64, allowed: bool, by: u32) -> Result<(), SessionError> {
        if !self.session.approve {
            return Err(SessionError::NotAsking);
        }
        let open = self.questions.answered(id, allowed, Instant::now());
        let open = open.ok_or(SessionError::NoQuestion { id })?;
        let generation = self.numbered.saturating_add(1);
        // Of the rules that hold now, which may be others than when it was asked.
        let rule = rule(&open.question, &self.rules, generation).filter(|_| allowed);
        if let Some(rule) = rule {
            self.numbered = generation;
            let mut asked = told(&open.question, Some(by), "", 1);
            asked.generation = Some(generation);
            self.rules.allow.push(rule.clone());
            self.approved.push((generation, rule));
            let (event, rules) = (Event::Approved(Box::new(asked)), Box::new(self.rules.clone()));
            let questions = open.waiting;
            self.line.say(Deed::Allow { event, generation, rules, questions });
        } else {
            self.deny(&open, Some(by), "");
        }
        self.tell_watchers();
        Ok(())
    }

    fn deny(&self, open: &Open, by: Option<u32>, why: &str) {
        let event = Some(Event::Refused(Box::new(told(&open.question, by, why, 1))));
        self.line.say(Deed::Deny { event, questions: open.waiting.clone() });
    }

    /// Puts on record what was only counted, and what nobody will answer any more.
    fn sum_up(self) {
        for open in self.questions.open() {
            self.deny(open, None, "the session ended before an answer");
        }
        for (why, question, count) in &self.unasked {
            if *count > 0 {
                let sum = told(question, None, why.words(), *count);
                self.line.say(Deed::Record(Event::Refused(Box::new(sum))));
            }
        }
    }

    fn number(&mut self) -> u32 {
        self.numbered = self.numbered.saturating_add(1);
        self.numbered
    }

    fn open(&self) -> Vec<Asked> {
        let now = Instant::now();
        self.questions.open().iter().map(|open| asked(open, now)).collect()
    }

    fn show(&mut self) {
        let open = self.open();
        if let Some(desk) = &mut self.desk {
            desk.show(&open, Instant::now());
        }
    }

    fn tell_watchers(&mut self) {
        let reply = Reply::Questions { open: self.open() };
        let now = Instant::now();
        self.peers.iter_mut().filter(|peer| peer.watches).for_each(|peer| peer.say(&reply, now));
    }

    fn peer(&mut self, number: u64) -> Option<&mut Peer> {
        self.peers.iter_mut().find(|peer| peer.number == number)
    }

    fn say_to(&mut self, number: u64, reply: &Reply) {
        if let Some(peer) = self.peer(number) {
            peer.say(reply, Instant::now());
        }
    }
}

fn refusal(refused: &Refused, drawn: Drawn) -> Reply {
    Reply::Refused(Box::new(Refusal::of(refused, drawn)))
}

/// A question as a person sees it.
fn asked(open: &Open, now: Instant) -> Asked {
    let Question { id, host, port, protocol, method, path } = open.question.clone();
    let seconds_left = open.until.saturating_duration_since(now).as_secs();
    let protocol = protocol.as_str().to_owned();
    Asked { id, host, port, protocol, method, path, seconds_left }
}

/// A question as it goes on record.
fn told(question: &Question, by: Option<u32>, why: &str, times: u64) -> audit::Asked {
    let Question { host, port, protocol, method, path, .. } = question.clone();
    let protocol = protocol.as_str();
    audit::Asked {
        host,
        port,
        protocol,
        method,
        path,
        generation: None,
        by,
        why: why.into(),
        times,
    }
}
