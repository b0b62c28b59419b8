//! What a configuration asks of this machine: devices, files, addresses. What is not there is said with its place, before
//! anything is changed.

use super::{Config, Forward, Places, shown};
use crate::{instance::Here, tls, tunnel::Tunnel, wanted::Devices as _};
use alveary_diag::Diagnostic;
use alveary_sort::Gather;
use rustix::fs::{Access, AtFlags, CWD, accessat};
use std::{
    collections::BTreeSet,
    fs, io,
    net::{IpAddr, UdpSocket},
    path::Path,
    sync::Arc,
};

/// Letters of the shortest token, and bytes of the shortest secret.
const LETTERS: usize = 16;

/// What is in a file of one secret, if nobody can guess that.
///
/// # Errors
/// What is wrong with it, in a few words.
pub(crate) fn secret(path: &Path) -> Result<Vec<u8>, String> {
    let said = fs::read(path).map_err(|why| format!("{} cannot be read: {why}", path.display()))?;
    let said = said.trim_ascii();
    if said.len() < LETTERS {
        return Err(format!("what is in {} can be guessed: it has less than {LETTERS} letters", path.display()));
    }
    Ok(said.to_owned())
}

/// The same of one that people write.
///
/// # Errors
/// As above.
pub(crate) fn token(path: &Path) -> Result<String, String> {
    String::from_utf8(secret(path)?).map_err(|_| format!("what is in {} is no text", path.display()))
}

impl Config {
    /// What this machine lacks of it.
    #[must_use]
    pub fn lacks(&self, places: &Places) -> Vec<Diagnostic> {
        self.lacks_beside(places, None)
    }

    /// The same, but for programs of checks that the configuration that holds runs already, and devices that its reals are
    /// behind: one that is gone since keeps no other change waiting. Its reals are down, and say why.
    pub(crate) fn lacks_beside(&self, places: &Places, holds: Option<&Config>) -> Vec<Diagnostic> {
        let checks = holds.into_iter().flat_map(|config| &config.vips).filter_map(|vip| vip.check.as_ref());
        let known: BTreeSet<&str> = checks.filter_map(|check| Some(check.command.first()?.as_str())).gather();
        let reals = holds.into_iter().flat_map(|config| &config.vips).flat_map(|vip| &vip.reals);
        let behind: BTreeSet<&str> = reals.filter_map(|real| real.device.as_deref()).gather();
        let mut all = Vec::new();
        let mut lacks = |place, message: String, why: Option<String>| {
            let fault = Diagnostic::new("lb-here", message, place);
            all.push(match why {
                Some(why) => fault.found(why),
                None => fault,
            });
        };
        for name in self.devices.iter().filter(|name| Here.device(name).is_none()) {
            let message = format!("this machine has no network device `{name}`");
            lacks(places.of("balancer", "devices"), message, None);
        }
        for (name, place) in places.devices().filter(|(name, _)| !behind.contains(name) && Here.device(name).is_none())
        {
            lacks(place, format!("this machine has no network device `{name}`"), None);
        }
        if let Some(Err(why)) = self.api.token.as_deref().map(token) {
            lacks(places.of("api", "token"), "the token cannot be used".into(), Some(why));
        }
        if let Some(tls) = &self.api.tls
            && let Err(why) = tls::server(&tls.certificate, &tls.key, tls.clients.as_deref())
        {
            lacks(places.of("api", "certificate"), "the API's certificates cannot be used".into(), Some(why));
        }
        if let Some(Err(why)) = self.sync.as_ref().map(|sync| secret(&sync.key)) {
            lacks(places.of("sync", "key"), "the secret of the peers cannot be used".into(), Some(why));
        }
        if let Some((_, path)) = self.etcd.as_ref().and_then(|etcd| etcd.user.as_ref())
            && let Err(why) = fs::read_to_string(path)
        {
            let why = format!("{} cannot be read: {why}", path.display());
            lacks(places.of("etcd", "password"), "the password for etcd cannot be used".into(), Some(why));
        }
        if let Some(etcd) = self.etcd.as_ref().filter(|etcd| etcd.endpoints.iter().any(|endpoint| endpoint.tls))
            && let Err(why) = tls::member(&etcd.trust, etcd.shown.as_ref())
        {
            let key = if etcd.shown.is_some() { "certificate" } else { "ca" };
            lacks(places.of("etcd", key), "the certificates for etcd cannot be used".into(), Some(why));
        }
        for (path, place) in places.files() {
            if let Err(why) = tls::roots(path) {
                lacks(place, "the certificates that reals are verified with cannot be used".into(), Some(why));
            }
        }
        for (name, place) in places.programs().filter(|(name, _)| !known.contains(name)) {
            if let Err(why) = program(name) {
                lacks(place, format!("the check's program `{}` cannot be run", shown(name)), Some(why));
            }
        }
        for (address, table, key) in [
            (self.api.address, "api", "address"),
            (self.metrics, "metrics", "address"),
            (self.sync.as_ref().map(|sync| sync.listen), "sync", "listen"),
        ] {
            if let Some(why) = address.and_then(|address| no_own(address.ip())) {
                let message = format!("this machine cannot be asked at `{key}`");
                lacks(places.of(table, key), message, Some(why));
            }
        }
        places.order(&mut all);
        all
    }
}

impl Config {
    /// What this machine lacks for checks through the tunnel, which may come yet: reals are down until it does.
    #[must_use]
    pub fn unchecked(&self) -> Vec<String> {
        let headers = Arc::default();
        let mut all = Vec::new();
        for vip in self.vips.iter().filter(|vip| vip.check.as_ref().is_some_and(|check| check.tunnel)) {
            for real in &vip.reals {
                let port = vip.check.as_ref().and_then(|check| check.port).or(real.port).or(vip.ports.first().copied());
                let lacks =
                    Tunnel::of(self, vip, real, &headers).and_then(|tunnel| tunnel.lacks(port.unwrap_or_default()));
                if let Some(why) = lacks {
                    all.push(format!("{}: checks of {} through the tunnel: {why}", vip.name, real.name));
                }
            }
        }
        all
    }
}

impl Config {
    /// Sources that are no addresses of this machine. They may be routed here, or come when this balancer takes over from
    /// another one: that is not wrong.
    #[must_use]
    pub fn foreign(&self) -> Vec<String> {
        let uses = |six: bool, nat: bool| {
            self.vips.iter().flat_map(|vip| &vip.reals).any(|real| {
                let way =
                    if nat { real.forward == Forward::Nat } else { matches!(real.forward, Forward::Ip | Forward::Gue) };
                way && real.address.is_ipv6() == six
            })
        };
        let sources = [self.sources.v4.map(IpAddr::from), self.sources.v6.map(IpAddr::from)];
        let mut all = Vec::new();
        for source in sources.into_iter().flatten().filter(|source| is_foreign(*source)) {
            let six = source.is_ipv6();
            if uses(six, true) {
                all.push(format!(
                    "`source` {source} is no address of this machine: what reals behind NAT answer comes back only if it is \
                     routed here"
                ));
            } else if uses(six, false) && self.spread == 0 {
                all.push(format!(
                    "`source` {source} is no address of this machine: tunnels come from it all the same, but what is told of \
                     their packets by ICMP does not come back, and reals may drop them (rp_filter)"
                ));
            }
        }
        all
    }
}

/// Whether the machine says that an address is none of its own; that it cannot be asked says nothing.
fn is_foreign(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_err_and(|why| why.kind() == io::ErrorKind::AddrNotAvailable)
}

/// Looks for a program where who runs it does: at its path, or in the folders of `PATH`.
///
/// # Errors
/// Why it cannot be run.
fn program(name: &str) -> Result<(), String> {
    let runs = |path: &Path| {
        let about = fs::metadata(path).map_err(|why| why.to_string())?;
        if !about.is_file() {
            return Err("it is no file".to_owned());
        }
        accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS).map_err(|_| "it is not executable (chmod +x)".to_owned())
    };
    if name.contains('/') {
        return runs(Path::new(name));
    }
    // Where none is said, these are where the C library looks.
    let folders = std::env::var_os("PATH").unwrap_or_else(|| "/bin:/usr/bin".into());
    if std::env::split_paths(&folders).any(|folder| runs(&folder.join(name)).is_ok()) {
        return Ok(());
    }
    Err(format!("none of the folders of PATH has such a program: {}", shown(&folders.to_string_lossy())))
}

/// Why an address is none of this machine's, if it is none.
fn no_own(address: IpAddr) -> Option<String> {
    let why = UdpSocket::bind((address, 0)).err()?;
    Some(format!("{address}: {why}"))
}
