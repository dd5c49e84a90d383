//! The view of a plan for bubblewrap, as options of a bwrap that runs by itself.

use std::fs::File;
use std::io::{Seek, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use cofferdam::plan::plan::Word;
use cofferdam::{Engine, Options};
use rustix::fs::{MemfdFlags, memfd_create};

/// A word, or the descriptor whose number is one.
enum Part {
    Text(String),
    File(File),
}

pub(super) struct View(Vec<Part>);

impl View {
    /// What `run --jail bubblewrap --network none` makes in `work`.
    pub(super) fn of_run(programs: &Path, work: &Path) -> Result<Self, String> {
        let before = std::env::current_dir().map_err(|error| error.to_string())?;
        std::env::set_current_dir(work).map_err(|error| error.to_string())?;
        let mut options = Options::command(["true"]);
        options.jail = Some("bubblewrap".into());
        let prepared = Engine::with_programs(programs).and_then(|engine| engine.prepare(&options));
        std::env::set_current_dir(before).map_err(|error| error.to_string())?;
        let prepared = prepared.map_err(|refused| format!("the plan: {refused}"))?;
        let outer = prepared.plan.outer.ok_or("the plan has no outer part")?;
        let mut parts = Vec::new();
        for option in outer.options.iter().filter(|option| !option.contains(&Word::Said)) {
            for word in option {
                parts.push(match word {
                    Word::Text(text) => Part::Text(String::from_utf8_lossy(&text.0).into_owned()),
                    Word::Content(content) => Part::File(file(content.as_bytes())?),
                    Word::Said => Part::File(file(b"")?),
                });
            }
        }
        Ok(Self(parts))
    }

    /// The words, with each descriptor at its begin and open to the program started next.
    pub(super) fn lend(&self) -> Result<Vec<String>, String> {
        let lend = |part: &Part| match part {
            Part::Text(text) => Ok(text.clone()),
            Part::File(file) => {
                let mut file = file;
                file.rewind().map_err(|error| error.to_string())?;
                Ok(file.as_raw_fd().to_string())
            }
        };
        self.0.iter().map(lend).collect()
    }
}

/// A file in memory that every program started from here inherits.
fn file(bytes: &[u8]) -> Result<File, String> {
    let made = || -> std::io::Result<File> {
        let held: OwnedFd = memfd_create("view", MemfdFlags::empty())?;
        let mut file = File::from(held);
        file.write_all(bytes)?;
        Ok(file)
    };
    made().map_err(|error| format!("a file in memory: {error}"))
}
