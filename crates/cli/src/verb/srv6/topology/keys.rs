//! The keys of a router's file, with which headers are signed and checked. Knows no routes.

use super::{
    super::{hmac::read_secret, topology},
    Text, Topology,
};
use alveary::net::seg6::{Algorithm, Key, Keys};
use alveary_diag::{Diagnostic, Place};
use serde::{Deserialize, Deserializer, de::Error};
use std::path::{Path, PathBuf};
use toml::Spanned;

/// A key, as the file says it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in super::super) struct Described {
    key: Spanned<u32>,
    algorithm: Name,
    secret: Option<Spanned<String>>,
    /// Counts from where the router's file is.
    secret_file: Option<Spanned<PathBuf>>,
}

#[derive(Debug)]
struct Name(Algorithm);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Name, D::Error> {
        match &*String::deserialize(from)? {
            "sha1" => Ok(Name(Algorithm::Sha1)),
            "sha256" => Ok(Name(Algorithm::Sha256)),
            other => Err(D::Error::custom(format!("`{other}` is no algorithm: sha1, sha256"))),
        }
    }
}

/// The keys; `file` is where the router is described.
pub(in super::super) fn read(text: &Text, topology: &Topology, file: &Path) -> Result<Keys, Diagnostic> {
    let mut keys = Keys::default();
    for described in &topology.hmac {
        let whole = || text.first_line(described.span());
        let described = described.get_ref();
        let (id, at) = (*described.key.get_ref(), text.at(described.key.span()));
        if id == 0 {
            return Err(topology::wrong("no key has the number 0", at).expected("1 to 4294967295"));
        }
        if keys.add(id, described.key(text, file, whole)?).is_some() {
            return Err(topology::wrong(format!("two keys have the number {id}"), at));
        }
    }
    Ok(keys)
}

impl Described {
    fn key(&self, text: &Text, file: &Path, whole: impl Fn() -> Place) -> Result<Key, Diagnostic> {
        let (secret, at) = match (&self.secret, &self.secret_file) {
            (Some(secret), None) => (secret.get_ref().clone().into_bytes(), text.at(secret.span())),
            (None, Some(path)) => {
                let at = text.at(path.span());
                let path = file.parent().unwrap_or(Path::new("")).join(path.get_ref());
                let secret = read_secret(&path).map_err(|why| {
                    topology::wrong(format!("the secret cannot be read from {}: {why}", path.display()), at.clone())
                })?;
                (secret, at)
            }
            (secret, _) => {
                let what = if secret.is_some() { "the key has two secrets" } else { "the key lacks a secret" };
                return Err(topology::wrong(what, whole()).expected("`secret` or `secret-file`"));
            }
        };
        let len = secret.len();
        Key::new(self.algorithm.0, secret).map_err(|expected| {
            topology::wrong("this is no secret of an HMAC", at).expected(expected).found(format!("{len} bytes"))
        })
    }
}
