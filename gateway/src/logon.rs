//! Who may log on, and how it is proved.
//!
//! The keys file is TOML:
//!
//! ```toml
//! [[client]]
//! id = 1
//! name = "desk one"
//! key = "000102030405060708090a0b0c0d0e0f"   # hex, 16 bytes or more
//! key_version = 1                             # the operator's own number: it enters the log, the key never does
//! roles = { matching = ["trade", "observe"] } # by domain: trade, administer, observe
//! ```

use hmac::{Hmac, KeyInit, Mac};
use ringfence_kernel::ids::{ClientId, DomainId};
use ringfence_kernel::session::Roles;
use ringfence_kernel::wire::logon_transcript;
use serde::Deserialize;
use sha2::Sha256;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use toml::Spanned;
use zeroize::Zeroizing;

/// Bytes of a key at least.
pub const KEY_BYTES_MIN: usize = 16;

/// What is wrong with a keys file. No message repeats what the file says of a key.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The file cannot be read.
    #[error("{}: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML of this shape.
    #[error("{}, line {line}: {what}", file.display())]
    Syntax {
        /// The file.
        file: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// A field holds what it may not.
    #[error("{}, line {line}: client {client}: field {field} {what}", file.display())]
    Field {
        /// The file.
        file: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The client's id.
        client: u32,
        /// The field.
        field: &'static str,
        /// What is wrong.
        what: String,
    },
}

/// A client's secret. It is wiped when it is dropped and never printed.
#[derive(Clone)]
struct Key(Zeroizing<Vec<u8>>);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(not shown)")
    }
}

#[derive(Clone, Debug)]
struct Client {
    key: Key,
    key_version: u32,
    name: String,
    roles: BTreeMap<DomainId, Roles>,
}

/// The clients that may log on.
#[derive(Clone, Debug)]
pub struct Keys {
    clients: BTreeMap<ClientId, Client>,
    /// What an unknown client's proof is checked against, so that it takes as long as any.
    decoy: Key,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    client: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: Spanned<u32>,
    #[serde(default)]
    name: String,
    key: Spanned<Zeroizing<String>>,
    #[serde(default)]
    key_version: u32,
    #[serde(default)]
    roles: BTreeMap<Spanned<String>, Vec<Spanned<String>>>,
}

impl Keys {
    /// Nobody.
    #[must_use]
    pub fn new() -> Self {
        Self { clients: BTreeMap::new(), decoy: Key(Zeroizing::new(vec![0; 32])) }
    }

    /// Reads a keys file. `domains` gives the ids of the domains that it may name. A file that others may read, and one
    /// without clients, is warned of in the log.
    ///
    /// # Errors
    /// [`KeysError`] names the file, the line and the field.
    pub fn read(file: &Path, domains: &[(&str, DomainId)]) -> Result<Self, KeysError> {
        let text = std::fs::read_to_string(file).map_err(|source| KeysError::Read { file: file.into(), source })?;
        let keys = Self::parse(file, &Zeroizing::new(text), domains)?;
        if let Some(mode) = mode_for_others(file) {
            let mode = format_args!("{mode:04o}");
            tracing::warn!(file = %file.display(), %mode, "the keys can be read by other users: chmod 600 mends it");
        }
        if keys.is_empty() {
            tracing::warn!(file = %file.display(), "the keys file names no client: nobody can log on");
        }
        Ok(keys)
    }

    /// Reads `text` as a keys file; `file` is what errors call it.
    ///
    /// # Errors
    /// [`KeysError`] names the file, the line and the field.
    pub fn parse(file: &Path, text: &str, domains: &[(&str, DomainId)]) -> Result<Self, KeysError> {
        let line = |at: usize| 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count();
        let parsed: File = toml::from_str(text).map_err(|error| KeysError::Syntax {
            file: file.into(),
            line: line(error.span().map_or(0, |span| span.start)),
            what: error.message().to_owned(),
        })?;
        let mut keys = Self::new();
        for entry in parsed.client {
            let client = *entry.id.get_ref();
            let wrong = |field, span: std::ops::Range<usize>, what: String| KeysError::Field {
                file: file.into(),
                line: line(span.start),
                client,
                field,
                what,
            };
            if client == 0 {
                return Err(wrong("id", entry.id.span(), "is 0, which is nobody".into()));
            }
            let key = unhex(entry.key.get_ref()).map_err(|what| wrong("key", entry.key.span(), what.into()))?;
            let mut roles = BTreeMap::new();
            for (domain, names) in &entry.roles {
                let id = domains.iter().find(|(name, _)| name == domain.get_ref()).map(|(_, id)| *id);
                let id = id.ok_or_else(|| {
                    wrong("roles", domain.span(), format!("names a domain that there is not: {:?}", domain.get_ref()))
                })?;
                let mut granted = Roles::NONE;
                for name in names {
                    granted = granted.with(role(name.get_ref()).ok_or_else(|| {
                        wrong(
                            "roles",
                            name.span(),
                            format!("holds {:?}; there are trade, administer, observe", name.get_ref()),
                        )
                    })?);
                }
                roles.insert(id, granted);
            }
            let known = Client { key: Key(key), key_version: entry.key_version, name: entry.name, roles };
            if keys.clients.insert(ClientId(client), known).is_some() {
                return Err(wrong("id", entry.id.span(), "stands twice".into()));
            }
        }
        Ok(keys)
    }

    /// Adds a client, or replaces it.
    ///
    /// # Panics
    /// When the key is shorter than [`KEY_BYTES_MIN`] or the client is number 0.
    pub fn insert(&mut self, client: ClientId, key: &[u8], key_version: u32, roles: &[(DomainId, Roles)]) {
        assert!(key.len() >= KEY_BYTES_MIN && client.0 != 0, "a key of 16 bytes or more, of somebody");
        let known = Client {
            key: Key(Zeroizing::new(key.to_vec())),
            key_version,
            name: String::new(),
            roles: roles.iter().copied().collect(),
        };
        self.clients.insert(client, known);
    }

    /// Clients that it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.clients.len()
    }

    /// Whether nobody may log on.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    /// A client's key, for a client on the operator's own machine; none when it is unknown.
    #[must_use]
    pub fn key(&self, client: ClientId) -> Option<&[u8]> {
        self.clients.get(&client).map(|known| known.key.0.as_slice())
    }

    /// What a client is called; empty when it has no name.
    #[must_use]
    pub fn name(&self, client: ClientId) -> &str {
        self.clients.get(&client).map_or("", |known| &known.name)
    }

    /// All grants, by client and domain: what the log is told in `SetRoles` frames.
    pub fn grants(&self) -> impl Iterator<Item = (ClientId, u32, DomainId, Roles)> + '_ {
        self.clients
            .iter()
            .flat_map(|(id, known)| known.roles.iter().map(|(domain, roles)| (*id, known.key_version, *domain, *roles)))
    }

    /// What a client may do in a domain.
    #[must_use]
    pub fn roles(&self, client: ClientId, domain: DomainId) -> Roles {
        self.clients.get(&client).and_then(|known| known.roles.get(&domain)).copied().unwrap_or(Roles::NONE)
    }

    /// Whether `proof` answers the challenge `nonce` in the name of `client`. It takes as long whatever the answer.
    #[must_use]
    pub fn verify(&self, nonce: &[u8; 32], client: ClientId, protocol: u16, proof: &[u8; 32]) -> bool {
        let known = self.clients.get(&client);
        let key = known.map_or(&self.decoy, |known| &known.key);
        let mut mac = Hmac::<Sha256>::new_from_slice(&key.0).expect("HMAC takes keys of any length");
        mac.update(&logon_transcript(nonce, client, protocol));
        mac.verify_slice(proof).is_ok() & known.is_some()
    }
}

impl Default for Keys {
    fn default() -> Self {
        Self::new()
    }
}

/// The file's mode when somebody beside its owner may read or write it.
#[cfg(unix)]
fn mode_for_others(file: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(file).ok()?.permissions().mode() & 0o777;
    (mode & 0o066 != 0).then_some(mode)
}

#[cfg(not(unix))]
fn mode_for_others(_: &Path) -> Option<u32> {
    None
}

fn role(name: &str) -> Option<Roles> {
    match name {
        "trade" => Some(Roles::TRADE),
        "administer" => Some(Roles::ADMINISTER),
        "observe" => Some(Roles::OBSERVE),
        _ => None,
    }
}

fn unhex(text: &str) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    let digit = |byte: u8| char::from(byte).to_digit(16).ok_or("is not hexadecimal");
    let mut key = Zeroizing::new(Vec::with_capacity(text.len() / 2));
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    for [high, low] in pairs {
        key.push((digit(*high)? << 4 | digit(*low)?) as u8);
    }
    if !rest.is_empty() {
        return Err("has an odd number of digits");
    }
    if key.len() < KEY_BYTES_MIN {
        return Err("is shorter than 16 bytes");
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOMAINS: &[(&str, DomainId)] = &[("matching", DomainId(1)), ("atm", DomainId(2))];

    fn parse(text: &str) -> Result<Keys, KeysError> {
        Keys::parse(Path::new("keys.toml"), text, DOMAINS)
    }

    /// Guards against a grant that is lost or given in the wrong domain.
    #[test]
    fn a_keys_file_gives_keys_and_grants() {
        let keys = parse(
            "[[client]]\nid = 7\nname = \"desk\"\nkey = \"000102030405060708090a0B0c0d0e0f\"\nkey_version = 3\n\
             roles = { matching = [\"trade\", \"observe\"], atm = [] }\n",
        )
        .unwrap();
        let grants: Vec<_> = keys.grants().collect();
        let both = Roles::TRADE.with(Roles::OBSERVE);
        assert_eq!(grants, [(ClientId(7), 3, DomainId(1), both), (ClientId(7), 3, DomainId(2), Roles::NONE)]);
        assert_eq!(keys.roles(ClientId(7), DomainId(3)), Roles::NONE);
        assert_eq!(keys.name(ClientId(7)), "desk");
        assert!(!format!("{keys:?}").contains("11"), "a key is not printed");
    }

    /// Guards against an operator who must search for a slip, and against a message that repeats a key.
    #[test]
    fn errors_name_the_file_the_line_and_the_field_but_no_key() {
        let key = "key = \"00112233445566778899aabbccddeeff\"";
        for (text, expected) in [
            ("[[client]]\nid = 1\nkey = \"0011\"\n".to_owned(), "keys.toml, line 3: client 1: field key is shorter"),
            ("[[client]]\nid = 1\nkey = \"zz\"\n".to_owned(), "line 3: client 1: field key is not hexadecimal"),
            ("[[client]]\nid = 1\nkey = \"001\"\n".to_owned(), "line 3: client 1: field key has an odd"),
            (format!("[[client]]\nid = 0\n{key}\n"), "line 2: client 0: field id is 0"),
            (
                format!("[[client]]\nid = 1\n{key}\n[[client]]\nid = 1\n{key}\n"),
                "line 5: client 1: field id stands twice",
            ),
            (format!("[[client]]\nid = 1\n{key}\nroles = {{ chess = [] }}\n"), "line 4: client 1: field roles names"),
            (
                format!("[[client]]\nid = 1\n{key}\nroles = {{ atm = [\"own\"] }}\n"),
                "line 4: client 1: field roles holds",
            ),
            (format!("[[client]]\nid = 1\n{key}\ncolour = 3\n"), "keys.toml, line 4: unknown field"),
            ("[[client]\n".to_owned(), "keys.toml, line 1"),
        ] {
            let message = parse(&text).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
            assert!(!message.contains("0011"), "{message}");
        }
    }

    /// Guards against a proof that is good for another nonce, client, protocol or key.
    #[test]
    fn a_proof_is_bound_to_all_that_it_signs() {
        let mut keys = Keys::new();
        keys.insert(ClientId(1), &[1; 16], 1, &[]);
        keys.insert(ClientId(2), &[2; 16], 1, &[]);
        let nonce = [9; 32];
        let proof = |key: &[u8], nonce, client, protocol| -> [u8; 32] {
            let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
            mac.update(&logon_transcript(nonce, ClientId(client), protocol));
            mac.finalize().into_bytes().into()
        };
        let good = proof(&[1; 16], &nonce, 1, 1);
        assert!(keys.verify(&nonce, ClientId(1), 1, &good));
        assert!(!keys.verify(&[8; 32], ClientId(1), 1, &good));
        assert!(!keys.verify(&nonce, ClientId(2), 1, &good));
        assert!(!keys.verify(&nonce, ClientId(1), 2, &good));
        let unknown = proof(&[0; 32], &nonce, 3, 1);
        assert!(!keys.verify(&nonce, ClientId(3), 1, &unknown), "the decoy's key is known to all and opens nothing");
    }
}
