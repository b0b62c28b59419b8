//! Why nobody can be asked at an address, or at a socket: by which key of the configuration, who may have it, what to do. Knows
//! nothing of who would have answered.

use crate::config::Places;
use alveary_diag::Diagnostic;
use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    path::Path,
};

/// A key of the configuration: its table, and its name.
pub(crate) type Key = (&'static str, &'static str);

/// An address of TCP, or of UDP.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Tcp,
    Udp,
}

/// An address that cannot be had.
pub(crate) fn address(
    code: &'static str,
    at: SocketAddr,
    kind: Kind,
    key @ (_, name): Key,
    why: &io::Error,
    places: &Places,
) -> Diagnostic {
    let wrong = named(code, &at.to_string(), key, why, places);
    let (port, [list, word]) =
        (at.port(), if matches!(kind, Kind::Tcp) { ["ss -ltnp", "TCP"] } else { ["ss -lunp", "UDP"] });
    match why.kind() {
        ErrorKind::AddrInUse => wrong
            .help(format!("`{list} 'sport = :{port}'` says which process has this port of {word}: end it"))
            .help(format!("or another port in `{name}`")),
        ErrorKind::AddrNotAvailable => {
            wrong.help(format!("an address of this machine in `{name}`: `ip address` lists them"))
        }
        ErrorKind::PermissionDenied if port < 1024 => {
            wrong.help(format!("ports below 1024 take CAP_NET_BIND_SERVICE; or another port in `{name}`"))
        }
        _ => wrong,
    }
}

/// A Unix socket that cannot be had.
pub(crate) fn socket(
    code: &'static str,
    path: &Path,
    key @ (_, name): Key,
    why: &io::Error,
    places: &Places,
) -> Diagnostic {
    let shown = path.display();
    let wrong = named(code, &shown.to_string(), key, why, places);
    match why.kind() {
        ErrorKind::AddrInUse if std::os::unix::net::UnixStream::connect(path).is_ok() => wrong
            .help(format!(
                "somebody answers there: `alveary lb status --socket {shown}` says whether that is a balancer"
            ))
            .help(format!("or another `{name}` in [api]")),
        ErrorKind::AddrInUse => {
            wrong.help(format!("what is there is no socket: another `{name}` in [api], or remove it"))
        }
        _ => wrong.help(format!("or another `{name}` in [api]")),
    }
}

fn named(code: &'static str, at: &str, (table, key): Key, why: &io::Error, places: &Places) -> Diagnostic {
    let message = format!("nobody can be answered at {at}, which is `{key}` in [{table}]");
    Diagnostic::new(code, message, places.of(table, key)).found(why.to_string())
}
