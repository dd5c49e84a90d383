//! What becomes of the output: the engine carries the streams, so it holds all of it.

use cofferdam_policy::model::Policy;

use super::cover::row;
use crate::coverage::{Coverage, Extent};
use crate::plan::{Escapes, Most, Output, Redaction};

const ENGINE: &str = "the engine, which carries the streams";

/// A row for each rule of `[output]`, and for each canary.
pub(crate) fn rows(policy: &Policy) -> Vec<Coverage> {
    let output = &policy.output;
    let mut rows = vec![escapes(output), redaction(output)];
    if let Some(Most { bytes, clause }) = &output.most {
        let says = format!(
            "at most {bytes} bytes of output are passed on, both streams together or the terminal; the \
             rest is dropped"
        );
        rows.push(row(clause, &says, &[ENGINE], Extent::Enforced));
    }
    if output.redaction == Redaction::On {
        rows.extend(policy.canaries.iter().map(|canary| {
            let says =
                format!("the string `{}` is masked in the output, with an alarm", canary.name);
            row(&canary.clause, &says, &[ENGINE], written_otherwise())
        }));
    }
    rows
}

fn escapes(output: &Output) -> Coverage {
    let says = match output.escapes {
        Escapes::Safe => {
            "a terminal gets only text and the escape sequences of a list; files and pipes get \
                          every byte"
        }
        Escapes::Always => {
            "whoever reads the output gets only text and the escape sequences of a list"
        }
        Escapes::Raw => "escape sequences pass as they are",
    };
    let (by, extent): (&[&str], _) = match output.escapes {
        Escapes::Safe | Escapes::Always => (&[ENGINE], Extent::Enforced),
        Escapes::Raw => {
            let open =
                "what is shown may write the clipboard, set titles, ask the terminal and hide text";
            (&[], Extent::Partly { open: open.into() })
        }
    };
    row(&output.escapes_clause, says, by, extent)
}

fn redaction(output: &Output) -> Coverage {
    match output.redaction {
        Redaction::On => row(
            &output.redaction_clause,
            "stand-ins of credentials and canaries are masked in the output, with an alarm",
            &[ENGINE],
            written_otherwise(),
        ),
        Redaction::Off => {
            let open = "nobody looks for stand-ins and canaries in the output".to_owned();
            row(
                &output.redaction_clause,
                "the output is passed on as it is",
                &[],
                Extent::Partly { open },
            )
        }
    }
}

/// Who wants to hide a string from its reader can.
fn written_otherwise() -> Extent {
    let open = "found plain and in its usual encodings; a program that takes it apart writes what it likes";
    Extent::Partly { open: open.into() }
}
