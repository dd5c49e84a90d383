//! What the gateway finds secrets with: the one place where values of the caller's variables that are
//! secrets are read, to be passed on as they are.

use std::path::PathBuf;

use cofferdam_plan::credentials::{Credential, Source};
use cofferdam_plan::message::Lent;

use super::Caller;

/// Variables by which programs find a home and the session's bus.
const VARIABLES: &[&str] = &["USER", "LANG", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"];

impl Caller {
    /// For these credentials; `None` where there is none.
    #[must_use]
    pub fn lent(&self, credentials: &[Credential], vault: PathBuf) -> Option<Lent> {
        let value = |name: &str| {
            let value = self.variables.get(name)?.to_str()?;
            Some((name.to_owned(), value.to_owned()))
        };
        let home = self.own_home().display().to_string();
        let mut variables = vec![("HOME".to_owned(), home)];
        variables.extend(VARIABLES.iter().filter_map(|name| value(name)));
        let secret = |one: &Credential| match &one.source {
            Source::Env(name) => {
                let value = self.variables.get(name)?;
                Some((name.clone(), value.as_encoded_bytes().to_vec()))
            }
            Source::Vault(_)
            | Source::Keychain(_)
            | Source::File(_)
            | Source::Command(_)
            | Source::OAuth => None,
        };
        let secrets = credentials.iter().filter_map(secret).collect();
        (!credentials.is_empty()).then_some(Lent { secrets, variables, vault, passphrase: None })
    }
}
