//! `[credentials]`.

use std::path::PathBuf;

use toml::de::{DeTable, DeValue};

use super::{Reader, Table, Value, check_name, check_path, limits};
use crate::credentials::{
    CREDENTIALS_MAX, Credential, Grant, Inject, OAuth, OPEN_MAX, PARTS_MAX, Placed, Source, is_name,
};
use crate::document::Document;
use crate::error::{CredentialFault, PolicyError};

pub(super) const CREDENTIAL: Table = Table {
    name: "credentials.NAME",
    now: &["source", "inject", "env", "files", "expires", "ssh", "oauth", "open"],
    later: &[],
};
pub(super) const SOURCE: Table = Table {
    name: "credentials.NAME.source",
    now: &["vault", "keychain", "env", "file", "command", "oauth", "member"],
    later: &[],
};
pub(super) const INJECT: Table = Table {
    name: "credentials.NAME.inject",
    now: &["header", "bearer", "basic", "query", "cookie", "json", "form", "sigv4"],
    later: &[],
};
pub(super) const SIGV4: Table =
    Table { name: "credentials.NAME.inject.sigv4", now: &["service", "region"], later: &[] };

pub(super) const OAUTH: Table = Table {
    name: "credentials.NAME.oauth",
    now: &["access_token", "refresh_token", "id_token"],
    later: &[],
};

/// Any user of `Authorization: Basic`.
const ANY_USER: &str = "*";
/// Most files of one credential.
const FILES_MAX: usize = 16;
/// Longest text of one. Bytes.
const CONTENT_BYTES_MAX: usize = 64 << 10;

impl Reader<'_> {
    pub(super) fn credentials(
        &self,
        value: &Value<'_>,
        document: &mut Document,
    ) -> Result<(), PolicyError> {
        let table = value.get_ref().as_table();
        let table = table.ok_or_else(|| self.wrong("credentials", "a table", value))?;
        if table.len() > CREDENTIALS_MAX {
            return Err(self.credential(CredentialFault::Many { count: table.len() }, value));
        }
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        for (key, entry) in entries {
            let name = key.get_ref().as_ref();
            if !is_name(name) {
                let fault = CredentialFault::Name { got: name.into() };
                return Err(self.fault(fault.into(), key.span()));
            }
            let clause = self.clause_at(format!("credentials.{name}"), key.span());
            let found = self.one_credential(name, entry, clause)?;
            let clause = found.clause.clone();
            document.credentials.push(self.located(found, entry, clause));
        }
        Ok(())
    }

    pub(super) fn credential(&self, fault: CredentialFault, value: &Value<'_>) -> PolicyError {
        self.fault(fault.into(), value.span())
    }

    fn one_credential(
        &self,
        name: &str,
        entry: &Value<'_>,
        clause: crate::model::Clause,
    ) -> Result<Credential, PolicyError> {
        let table = self.table(entry, &CREDENTIAL)?;
        let missing = |key| self.credential(CredentialFault::Missing { key }, entry);
        let (source, member) =
            self.source(table.get("source").ok_or_else(|| missing("source"))?)?;
        let inject = match table.get("ssh") {
            Some(logins) => Inject::Ssh(self.logins(table, logins)?),
            None => self.inject(table.get("inject").ok_or_else(|| missing("inject"))?)?,
        };
        let env = self.variables_of(table)?;
        let files = self.files_of(name, table)?;
        let expires = match table.get("expires") {
            None => None,
            Some(value) => {
                let text = self.text("credentials.NAME.expires", value)?;
                let fault =
                    || self.credential(CredentialFault::Expires { got: text.into() }, value);
                Some(limits::duration(text).filter(|seconds| *seconds > 0).ok_or_else(fault)?)
            }
        };
        let oauth =
            table.get("oauth").map(|value| self.tokens(name, &inject, value)).transpose()?;
        let (name, open) = (name.into(), self.open(table)?);
        Ok(Credential { name, source, member, inject, env, files, expires, open, oauth, clause })
    }

    /// What of the source is no secret.
    fn open(&self, table: &DeTable<'_>) -> Result<Vec<(String, Vec<String>)>, PolicyError> {
        let Some(value) = table.get("open") else { return Ok(Vec::new()) };
        let found = value.get_ref().as_table();
        let found = found.ok_or_else(|| self.wrong("credentials.NAME.open", "a table", value))?;
        if found.len() > OPEN_MAX {
            return Err(self.credential(CredentialFault::Open, value));
        }
        let mut entries: Vec<_> = found.iter().collect();
        entries.sort_by_key(|(name, _)| name.span().start);
        let one = |(name, entry): &(&toml::Spanned<_>, &Value<'_>)| {
            let text: &str = AsRef::<str>::as_ref(name.get_ref());
            // A number is a part of a key.
            if !is_name(text) || text.bytes().all(|byte| byte.is_ascii_digit()) {
                let fault = CredentialFault::Name { got: text.into() };
                return Err(self.fault(fault.into(), name.span()));
            }
            Ok((text.to_owned(), self.member(entry)?))
        };
        entries.iter().map(one).collect()
    }

    /// Whose the tokens of an answer are. A refresh token is its own credential's next secret, where
    /// nothing else is said.
    fn tokens(&self, own: &str, inject: &Inject, value: &Value<'_>) -> Result<OAuth, PolicyError> {
        let table = self.table(value, &OAUTH)?;
        let named = |key: &'static str| {
            let Some(entry) = table.get(key) else { return Ok(None) };
            let text = self.text(OAUTH.name, entry)?;
            let fault = || self.credential(CredentialFault::Name { got: text.into() }, entry);
            is_name(text).then(|| Some(text.to_owned())).ok_or_else(fault)
        };
        let missing = || self.credential(CredentialFault::Missing { key: "access_token" }, value);
        let access_token = named("access_token")?.ok_or_else(missing)?;
        let grant = inject.grant();
        let grant = grant.ok_or_else(|| self.credential(CredentialFault::Grant, value))?;
        let itself = (grant == Grant::RefreshToken).then(|| own.to_owned());
        let refresh_token = named("refresh_token")?.or(itself);
        Ok(OAuth { access_token, refresh_token, id_token: named("id_token")? })
    }

    /// The one key of a table that says which of several it is, beside those in `also`.
    fn one_of<'t, 'i>(
        &self,
        value: &'t Value<'i>,
        table: &'static Table,
        also: &[&str],
    ) -> Result<(&'static str, &'t Value<'i>), PolicyError> {
        let found = self.table(value, table)?;
        let given = table.now.iter().filter(|key| !also.contains(key));
        let mut given = given.filter_map(|key| Some((*key, found.get(*key)?)));
        match (given.next(), given.next()) {
            (Some(one), None) => Ok(one),
            _ => {
                Err(self
                    .credential(CredentialFault::OneOf { of: table.name, keys: table.now }, value))
            }
        }
    }

    fn source(&self, value: &Value<'_>) -> Result<(Source, Vec<String>), PolicyError> {
        let (key, entry) = self.one_of(value, &SOURCE, &["member"])?;
        let full = "credentials.NAME.source";
        let kept = |entry: &Value<'_>| {
            let text = self.text(full, entry)?;
            let fault = || self.credential(CredentialFault::Name { got: text.into() }, entry);
            is_name(text).then(|| text.to_owned()).ok_or_else(fault)
        };
        let source = match key {
            "vault" => Source::Vault(kept(entry)?),
            "keychain" => Source::Keychain(kept(entry)?),
            "env" => {
                let name = self.text(full, entry)?;
                check_name(name).map_err(|fault| self.fault(fault, entry.span()))?;
                Source::Env(name.into())
            }
            "file" => Source::File(self.whole_path(full, entry)?),
            "oauth" if entry.get_ref().as_bool() == Some(true) => Source::OAuth,
            "oauth" => return Err(self.wrong(full, "`oauth = true`", entry)),
            _ => {
                let list = self.list(full, entry)?;
                let words = list.iter().map(|word| self.text(full, word).map(str::to_owned));
                let words: Vec<String> = words.collect::<Result<_, _>>()?;
                let first = words
                    .first()
                    .ok_or_else(|| self.credential(CredentialFault::Command, entry))?;
                if !first.starts_with('/') || words.iter().any(|word| word.contains('\0')) {
                    return Err(self.credential(CredentialFault::Command, entry));
                }
                Source::Command(words)
            }
        };
        let table = value.get_ref().as_table();
        let member = match table.and_then(|table| table.get("member")) {
            None => Vec::new(),
            // An answer's token is all of it.
            Some(entry) if source == Source::OAuth => {
                let got = "member".into();
                return Err(self.credential(CredentialFault::Member { got }, entry));
            }
            Some(entry) => self.member(entry)?,
        };
        Ok((source, member))
    }

    /// `a.b.c`, the way to a member of an object.
    fn member(&self, value: &Value<'_>) -> Result<Vec<String>, PolicyError> {
        let text = self.text("member", value)?;
        let parts: Vec<String> = text.split('.').map(str::to_owned).collect();
        if parts.iter().any(String::is_empty) || text.contains(char::is_control) {
            return Err(self.credential(CredentialFault::Member { got: text.into() }, value));
        }
        Ok(parts)
    }

    /// A path that does not depend on where somebody stands.
    fn whole_path(&self, key: &str, value: &Value<'_>) -> Result<PathBuf, PolicyError> {
        let text = self.text(key, value)?;
        let path = check_path(text).map_err(|fault| self.fault(fault, value.span()))?;
        if path.starts_with('/') || path.starts_with("~/") {
            return Ok(path.into());
        }
        Err(self.credential(CredentialFault::Relative { path }, value))
    }

    fn inject(&self, value: &Value<'_>) -> Result<Inject, PolicyError> {
        let (key, entry) = self.one_of(value, &INJECT, &[])?;
        let full = "credentials.NAME.inject";
        let named = || {
            let text = self.text(full, entry)?;
            let word = !text.is_empty()
                && text.len() <= 128
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
            let fault = || self.credential(CredentialFault::Carrier { got: text.into() }, entry);
            word.then(|| text.to_owned()).ok_or_else(fault)
        };
        Ok(match key {
            "header" => {
                let name = named()?.to_ascii_lowercase();
                if super::requests::is_kept(&name) {
                    return Err(self.credential(CredentialFault::Carrier { got: name }, entry));
                }
                Inject::Header(name)
            }
            "bearer" => match entry.get_ref().as_bool() {
                Some(true) => Inject::Bearer,
                Some(false) | None => return Err(self.wrong(full, "`bearer = true`", entry)),
            },
            "basic" => match self.text(full, entry)? {
                ANY_USER => Inject::Basic(None),
                user if user.contains(':') || user.contains(char::is_control) => {
                    return Err(
                        self.credential(CredentialFault::Carrier { got: user.into() }, entry)
                    );
                }
                user => Inject::Basic(Some(user.into())),
            },
            "query" => Inject::Query(named()?),
            "cookie" => Inject::Cookie(named()?),
            "json" => Inject::Json(self.member(entry)?),
            "form" => Inject::Form(named()?),
            _ => self.signature(entry)?,
        })
    }

    fn signature(&self, value: &Value<'_>) -> Result<Inject, PolicyError> {
        let table = self.table(value, &SIGV4)?;
        let part = |key: &'static str| {
            let missing = || self.credential(CredentialFault::Missing { key }, value);
            let entry = table.get(key).ok_or_else(missing)?;
            let text = self.text(SIGV4.name, entry)?;
            let word = !text.is_empty()
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
            let fault = || self.credential(CredentialFault::Carrier { got: text.into() }, entry);
            word.then(|| text.to_owned()).ok_or_else(fault)
        };
        Ok(Inject::SigV4 { service: part("service")?, region: part("region")? })
    }

    /// One name, or several.
    fn variables_of(&self, table: &DeTable<'_>) -> Result<Vec<String>, PolicyError> {
        let Some(value) = table.get("env") else { return Ok(Vec::new()) };
        let names = match value.get_ref() {
            DeValue::Array(_) => self.list("credentials.NAME.env", value)?,
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Table(_) => std::slice::from_ref(value),
        };
        let mut found: Vec<String> = Vec::new();
        for entry in names {
            let name = self.text("credentials.NAME.env", entry)?;
            check_name(name).map_err(|fault| self.fault(fault, entry.span()))?;
            if found.iter().any(|other| other == name) {
                return Err(
                    self.credential(CredentialFault::VariableTwice { name: name.into() }, entry)
                );
            }
            found.push(name.into());
        }
        Ok(found)
    }

    fn files_of(&self, own: &str, table: &DeTable<'_>) -> Result<Vec<Placed>, PolicyError> {
        let Some(value) = table.get("files") else { return Ok(Vec::new()) };
        let key = "credentials.NAME.files";
        let found = value.get_ref().as_table();
        let found = found.ok_or_else(|| self.wrong(key, "a table", value))?;
        if found.len() > FILES_MAX {
            return Err(self.credential(CredentialFault::Many { count: found.len() }, value));
        }
        let mut entries: Vec<_> = found.iter().collect();
        entries.sort_by_key(|(path, _)| path.span().start);
        let mut files = Vec::new();
        for (path, entry) in entries {
            let text = path.get_ref().as_ref();
            let checked = check_path(text).map_err(|fault| self.fault(fault, path.span()))?;
            if !checked.starts_with("~/") {
                let fault = CredentialFault::Relative { path: checked };
                return Err(self.fault(fault.into(), path.span()));
            }
            let content = self.text(key, entry)?;
            let mut named = std::iter::once(own.to_owned())
                .chain((0..PARTS_MAX).map(|at| format!("{own}.{at}")));
            let holds = named.any(|name| content.contains(&format!("{{{name}}}")));
            if !holds || content.len() > CONTENT_BYTES_MAX {
                return Err(self.credential(CredentialFault::Content { name: own.into() }, entry));
            }
            files.push(Placed { path: checked.into(), content: content.into() });
        }
        Ok(files)
    }
}

#[cfg(test)]
mod tests {
    use crate::document::{Document, Source};

    #[track_caller]
    fn check(rest: &str, want: Result<(), &str>, why: &str) {
        let text = format!("version = 1\n[credentials.api]\n{rest}\n");
        let read = Document::parse(Source { name: "p".into(), text });
        let got = read.as_ref().map(|_| ()).map_err(|error| error.code());
        assert_eq!(got, want, "{rest}: {why}");
        if let Err(error) = read {
            assert!(error.line().is_some(), "{rest}: it has a place");
            assert!(!error.to_string().contains("s3cr3t"), "{rest}: no message repeats a value");
        }
    }

    #[test]
    fn what_is_a_credential() {
        const FROM: &str = "source = { vault = 'api' }\n";
        const AS: &str = "inject = { bearer = true }\n";
        for (source, want, why) in [
            ("{ vault = 'a.b-c_1' }", Ok(()), "by name"),
            ("{ keychain = 'a' }", Ok(()), "the system's"),
            ("{ env = 'A_B' }", Ok(()), "a variable"),
            ("{ file = '~/x', member = 'a.b' }", Ok(()), "a member of a file"),
            ("{ file = '/x' }", Ok(()), "an absolute path"),
            ("{ command = ['/usr/bin/pass', 'show', 'x'] }", Ok(()), "a program"),
            ("{ vault = 'A' }", Err("credential-name"), "no name"),
            ("{ env = 'A B' }", Err("variable-name"), "no variable"),
            ("{ file = 'x' }", Err("credential-path"), "depends on where somebody stands"),
            ("{ command = ['pass'] }", Err("credential-command"), "a shell would look for it"),
            ("{ command = [] }", Err("credential-command"), "nothing"),
            ("{ oauth = true }", Ok(()), "an answer brings it"),
            ("{ oauth = false }", Err("wrong-type"), "not so"),
            ("{ oauth = true, member = 'a' }", Err("credential-member"), "nothing to look into"),
            ("{ vault = 'a', env = 'B' }", Err("credential-one-of"), "two"),
            ("{}", Err("credential-one-of"), "none"),
            (
                "{ vault = 'a', member = 'a..b' }",
                Err("credential-member"),
                "a member without a name",
            ),
            ("'s3cr3t'", Err("wrong-type"), "the secret itself"),
            ("{ value = 's3cr3t' }", Err("unknown-key"), "the same"),
        ] {
            check(&format!("source = {source}\n{AS}"), want, why);
        }
        for (inject, want, why) in [
            ("{ header = 'X-Api-Key' }", Ok(()), "a header"),
            ("{ basic = '*' }", Ok(()), "a password of any user"),
            ("{ query = 'key' }", Ok(()), "a parameter"),
            ("{ cookie = 'session' }", Ok(()), "a cookie"),
            ("{ json = 'auth.key' }", Ok(()), "a member"),
            ("{ form = 'refresh_token' }", Ok(()), "a field"),
            ("{ sigv4 = { service = 's3', region = 'eu-central-1' } }", Ok(()), "a signature"),
            ("{ header = 'Host' }", Err("credential-carrier"), "the gateway's own"),
            ("{ header = 'a b' }", Err("credential-carrier"), "no name"),
            ("{ bearer = false }", Err("wrong-type"), "not so"),
            ("{ basic = 'a:b' }", Err("credential-carrier"), "a colon ends the user"),
            ("{ sigv4 = { service = 's3' } }", Err("credential-missing-key"), "no region"),
            ("{ bearer = true, query = 'k' }", Err("credential-one-of"), "two"),
            ("{}", Err("credential-one-of"), "none"),
        ] {
            check(&format!("{FROM}inject = {inject}"), want, why);
        }
        for (more, want, why) in [
            ("", Ok(()), "nothing more"),
            ("env = 'API_KEY'", Ok(()), "a variable"),
            ("env = ['A', 'B']", Ok(()), "two"),
            ("env = ['A', 'A']", Err("credential-variable"), "twice"),
            ("env = 'HOME'", Err("variable-ours"), "ours"),
            ("files = { '~/.npmrc' = 'x={api}' }", Ok(()), "a file"),
            ("files = { '~/.npmrc' = 'x=' }", Err("credential-content"), "nothing stands in it"),
            ("files = { '/etc/x' = '{api}' }", Err("credential-path"), "not in the home"),
            ("expires = '8h'", Ok(()), "a time"),
            ("expires = '0s'", Err("credential-expires"), "none"),
            ("ssh = {}", Err("credential-beside"), "two ways at once"),
            ("open = { expires = 'a.expires', p-1 = 'b' }", Ok(()), "what is no secret"),
            ("open = { A = 'a' }", Err("credential-name"), "no name"),
            ("open = { 0 = 'a' }", Err("credential-name"), "a part of a key"),
            ("open = { a = 'b..c' }", Err("credential-member"), "no way to it"),
            ("open = 'a'", Err("wrong-type"), "no table"),
            ("oauth = { access_token = 'b' }", Err("credential-grant"), "no grant bears it so"),
        ] {
            check(&format!("{FROM}{AS}{more}"), want, why);
        }
        check(AS, Err("credential-missing-key"), "no source");
        check(FROM, Err("credential-missing-key"), "no way to bear it");
    }

    #[test]
    fn what_answers_bring() {
        const FROM: &str = "source = { vault = 'api' }\n";
        for (inject, oauth, want, why) in [
            ("json = 'refresh_token'", "access_token = 'b'", Ok(()), "a refresh token"),
            ("form = 'refresh_token'", "access_token = 'b', id_token = 'c'", Ok(()), "in a form"),
            ("form = 'client_secret'", "access_token = 'b'", Ok(()), "a client's secret"),
            ("basic = 'id'", "access_token = 'b', refresh_token = 'c'", Ok(()), "as a password"),
            ("basic = '*'", "access_token = 'b'", Err("credential-grant"), "whose is not said"),
            ("json = 'a.refresh_token'", "access_token = 'b'", Err("credential-grant"), "within"),
            ("form = 'refresh_token'", "", Err("credential-missing-key"), "whose it is"),
            ("form = 'refresh_token'", "access_token = 'B'", Err("credential-name"), "no name"),
        ] {
            check(&format!("{FROM}inject = {{ {inject} }}\noauth = {{ {oauth} }}"), want, why);
        }
    }
}
