//! One `runsc`, tried: what it says of itself, and whether a program runs on each platform.

use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::thread::JoinHandle;

use cofferdam_plan::Host;
use cofferdam_plan::facts::Ids;
use cofferdam_plan::host::Program;
use cofferdam_plan::limits::Name;
use cofferdam_plan::runsc::{Devices, Features, Outcome, Platform, Trial, Version};
use rustix::pipe::{PipeFlags, pipe_with};

use super::Depth;
use crate::launch::{Handed, Programs, Waiting};
use crate::outcome;
use crate::refusal::StartRefusal;
use crate::streams::{Sink, Streams};
use crate::witness::Nobody;

/// How long a trial may take: five hundred milliseconds are many on a busy machine. Seconds, so that one that
/// hangs is known within 5.
pub const PATIENCE: u64 = 4;
/// More than any of them says. Bytes.
const SAID_BYTES_MAX: usize = 64 << 10;
/// Of what it says of a failure. Letters.
const WHY_MAX: usize = 200;

/// What was found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tried {
    pub(super) version: Version,
    pub(super) features: Features,
    /// In the order of [`Platform::ALL`].
    pub(super) platforms: Vec<(Platform, Outcome)>,
}

impl Tried {
    /// The one that is used.
    pub(super) fn platform(&self) -> Option<Platform> {
        let works = self.platforms.iter().find(|(_, outcome)| *outcome == Outcome::Works);
        works.map(|(platform, _)| *platform)
    }
}

/// What a trial left behind: its last words.
struct Ran {
    /// `None`: it hung.
    status: Option<u8>,
    output: Vec<u8>,
    error: Vec<u8>,
}

/// A `runsc` and who tries it.
pub(super) struct Trier<'a> {
    program: &'a Program,
    ids: Ids,
    programs: &'a Programs,
    host: &'a Host,
    devices: Devices,
}

impl<'a> Trier<'a> {
    pub(super) fn new(
        program: &'a Program,
        ids: Ids,
        programs: &'a Programs,
        host: &'a Host,
    ) -> Self {
        Self { program, ids, programs, host, devices: Devices { kvm: device("/dev/kvm") } }
    }

    /// All that is to be known of it.
    ///
    /// # Errors
    /// It is no `runsc`, or nothing can be tried here; in words.
    pub(super) fn examine(&self, depth: Depth) -> Result<Tried, String> {
        let ran = self.run(Trial::Version).map_err(|error| error.to_string())?;
        let said = String::from_utf8_lossy(&ran.output);
        let version = Version::of(&said).filter(|_| ran.status == Some(0)).ok_or_else(|| {
            let instead = match ran.status {
                None => format!("nothing for {PATIENCE} s"),
                Some(_) => last_words(&ran),
            };
            format!("`--version` does not say that it is a runsc, but: {instead}")
        })?;
        let ran = self.run(Trial::Flags).map_err(|error| error.to_string())?;
        // The list of an old one goes to its standard error.
        let said = [ran.output.as_slice(), ran.error.as_slice()].concat();
        let features = Features::of(&String::from_utf8_lossy(&said));
        let mut platforms = Vec::new();
        let mut works = false;
        for platform in Platform::ALL {
            let outcome = if works && depth == Depth::First {
                Outcome::Untried
            } else {
                self.on(platform, features)
            };
            works |= outcome == Outcome::Works;
            platforms.push((platform, outcome));
        }
        Ok(Tried { version, features, platforms })
    }

    fn on(&self, platform: Platform, features: Features) -> Outcome {
        if platform == Platform::Kvm && self.devices.kvm.is_none() {
            return Outcome::Fails { why: "there is no /dev/kvm".into() };
        }
        let ran = match self.run(Trial::Run(platform, features)) {
            Ok(ran) => ran,
            Err(refusal) => return Outcome::Fails { why: one_line(&refusal.to_string()) },
        };
        match ran.status {
            None => Outcome::Hangs { after: PATIENCE },
            Some(status) if Trial::is_answered(status, &ran.output, &self.host.release) => {
                Outcome::Works
            }
            Some(_) => Outcome::Fails { why: last_words(&ran) },
        }
    }

    /// One trial, in a sandbox of its own that is gone when this comes back.
    fn run(&self, trial: Trial) -> Result<Ran, StartRefusal> {
        let system = |doing| StartRefusal::system(doing);
        let plan = trial.plan(self.program, self.ids, self.devices, PATIENCE);
        let waiting = Waiting::start(self.programs)?;
        let mut preparing = waiting.build(&plan, self.ids, None, Handed::default())?;
        preparing.ready(&plan, self.host)?;
        let (output, error) = (Collected::new(), Collected::new());
        let (output, error) =
            (output.map_err(system("make a pipe"))?, error.map_err(system("make a pipe"))?);
        preparing.go()?;
        let streams = Streams {
            input: None,
            output: Sink::Descriptor(output.to.as_fd()),
            error: Sink::Descriptor(error.to.as_fd()),
            signals: None,
            masks: None,
        };
        let ended = preparing.into_running().wait(streams, &mut Nobody);
        let ended = ended.map_err(system("wait for runsc"))?;
        let (output, error) = (output.end(), error.end());
        let hung = ended.hits().iter().any(|hit| hit.limit == Name::WallTime.as_str());
        if let outcome::Outcome::Failed { doing, errno } = ended {
            return Err(StartRefusal::Step { step: u32::MAX, doing, errno, said: None });
        }
        let status = (!hung).then(|| ended.status());
        Ok(Ran { status, output, error })
    }
}

/// What is written to `to`, up to [`SAID_BYTES_MAX`]; the rest is read all the same, so that nobody waits.
struct Collected {
    to: OwnedFd,
    read: JoinHandle<Vec<u8>>,
}

impl Collected {
    fn new() -> io::Result<Self> {
        let (from, to) = pipe_with(PipeFlags::CLOEXEC)?;
        let read = std::thread::spawn(move || {
            let mut from = std::fs::File::from(from);
            let (mut said, mut part) = (Vec::new(), [0; 4096]);
            while let Ok(length @ 1..) = from.read(&mut part) {
                let room = SAID_BYTES_MAX.saturating_sub(said.len()).min(length);
                said.extend_from_slice(part.get(..room).unwrap_or_default());
            }
            said
        });
        Ok(Self { to, read })
    }

    fn end(self) -> Vec<u8> {
        drop(self.to);
        self.read.join().unwrap_or_default()
    }
}

/// Major and minor number of a character device.
fn device(path: &str) -> Option<(u32, u32)> {
    let seen = std::fs::symlink_metadata(Path::new(path)).ok()?;
    let number = seen.rdev();
    let device = (rustix::fs::major(number), rustix::fs::minor(number));
    seen.file_type().is_char_device().then_some(device)
}

/// The last line that it said, and how it ended.
fn last_words(ran: &Ran) -> String {
    let line = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        text.lines().map(one_line).rfind(|line| !line.is_empty())
    };
    let said = line(&ran.error).or_else(|| line(&ran.output)).unwrap_or_else(|| "no word".into());
    match ran.status {
        Some(status) => format!("{said} (status {status})"),
        None => said,
    }
}

/// In one line, and of a long one its end: a chain of causes ends with the first of them.
fn one_line(text: &str) -> String {
    let plain = |letter: char| if letter.is_control() { ' ' } else { letter };
    let text: Vec<char> = text.trim().chars().map(plain).collect();
    let cut = text.len().saturating_sub(WHY_MAX);
    let kept: String = text.iter().skip(cut).collect();
    if cut == 0 { kept } else { format!("…{kept}") }
}
