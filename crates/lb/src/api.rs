//! Where the API is answered, and to whom: on a Unix socket that its owner alone opens, and at an address, to those of this
//! machine, or to those who show a token or a certificate. Knows nothing of what is asked.

use crate::{
    Fault, Result,
    config::Config,
    http::{Answer, Request, Stream, Until, converse},
    tls,
};
use alveary_diag::{Diagnostic, Place};
use rustls::{ServerConnection, StreamOwned};
use std::{
    fs,
    io::{self, ErrorKind},
    net::{SocketAddr, TcpListener},
    os::unix::{
        fs::PermissionsExt,
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

/// Conversations at once; who comes then is turned away.
const CONVERSATIONS: usize = 64;
/// Letters of the shortest token.
const TOKEN: usize = 16;

/// Where a balancer's API answers unless its configuration says otherwise.
#[must_use]
pub fn socket(name: &str) -> PathBuf {
    Path::new("/run/alveary").join(format!("lb-{name}.sock"))
}

/// Where it answers besides the socket.
#[derive(Clone, Copy, Debug, Default)]
pub struct Listening {
    /// The API.
    pub address: Option<SocketAddr>,
    /// Prometheus.
    pub metrics: Option<SocketAddr>,
}

/// What the API says: asked by many threads.
type Say = Arc<dyn Fn(Request) -> Answer + Send + Sync>;

/// Answers where a configuration says, from threads of its own.
///
/// # Errors
/// Nobody can be answered there; the token or the certificates cannot be used.
pub fn listen(config: &Config, say: impl Fn(Request) -> Answer + Send + Sync + 'static) -> Result<Listening> {
    let (say, busy): (Say, _) = (Arc::new(say), Arc::new(AtomicUsize::new(0)));
    let mut listening = Listening::default();
    let token = config.api.token.as_deref().map(token).transpose()?;
    let speaks = config.api.tls.as_ref().map(|tls| {
        let made = tls::server(&tls.certificate, &tls.key, tls.clients.as_deref());
        made.map_err(|why| wrong("the API's address", &io::Error::other(why)))
    });
    let speaks = speaks.transpose()?;
    let path = config.api.socket.clone().unwrap_or_else(|| socket(&config.name));
    let unix = at_socket(&path).map_err(|why| wrong(&path.display().to_string(), &why))?;
    let (to, count) = (say.clone(), busy.clone());
    thread::spawn(move || {
        for stream in unix.incoming().flatten() {
            talk(stream, &count, &to, |_| None);
        }
    });
    if let Some(address) = config.api.address {
        let shown = config.api.tls.as_ref().is_some_and(|tls| tls.clients.is_some());
        let (listener, bound) = at_address(address)?;
        listening.address = Some(bound);
        let (to, count) = (say.clone(), busy.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let token = token.clone();
                let refuses = move |request: &Request| match &token {
                    // Nobody else came so far.
                    None if shown => None,
                    token => forbidden(request, token.as_deref()),
                };
                match &speaks {
                    None => talk(stream, &count, &to, refuses),
                    Some(config) => {
                        // What is wrong then is wrong with the configuration, not with who comes.
                        let Ok(server) = ServerConnection::new(config.clone()) else { return };
                        talk(StreamOwned::new(server, Until::new(stream, Instant::now())), &count, &to, refuses);
                    }
                }
            }
        });
    }
    if let Some(address) = config.metrics {
        let (listener, bound) = at_address(address)?;
        listening.metrics = Some(bound);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                talk(stream, &busy, &say, |request| {
                    (request.path != "/metrics").then(|| Answer::refused(404, "ask for /metrics"))
                });
            }
        });
    }
    Ok(listening)
}

fn wrong(at: &str, why: &io::Error) -> Fault {
    let message = format!("nobody can be answered at {at}");
    Diagnostic::new("lb-api", message, Place::Nowhere).found(why.to_string()).into()
}

fn at_address(address: SocketAddr) -> Result<(TcpListener, SocketAddr)> {
    let bound = TcpListener::bind(address).and_then(|listener| Ok((listener.local_addr()?, listener)));
    bound.map(|(at, listener)| (listener, at)).map_err(|why| wrong(&address.to_string(), &why))
}

fn at_socket(path: &Path) -> io::Result<UnixListener> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    if UnixStream::connect(path).is_ok() {
        return Err(ErrorKind::AddrInUse.into());
    }
    // What a process that is gone has left.
    let _ = fs::remove_file(path);
    let unix = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(unix)
}

/// What is in a token's file.
fn token(path: &Path) -> Result<String> {
    let name = path.display().to_string();
    let token = fs::read_to_string(path).map_err(|why| wrong(&name, &why))?;
    let token = token.trim().to_owned();
    if token.len() < TOKEN {
        let why = format!("a token of less than {TOKEN} letters can be guessed");
        return Err(Diagnostic::new("lb-api", why, Place::Nowhere).in_file(name).into());
    }
    Ok(token)
}

/// Why somebody who comes by TCP is not answered, if so.
fn forbidden(request: &Request, token: Option<&str>) -> Option<Answer> {
    if let Some(token) = token {
        let said = request.token.as_deref().unwrap_or_default();
        // As long for a wrong one as for another wrong one.
        let differ =
            said.len() != token.len() || said.bytes().zip(token.bytes()).fold(0, |all, (a, b)| all | (a ^ b)) != 0;
        return differ.then(|| Answer::refused(401, "the token is not the one that is asked for"));
    }
    // Only this machine comes here. Pages of others, which its browsers show, have other names for it.
    let name = request.host.rsplit_once(':').map_or(request.host.as_str(), |(name, _)| name);
    let own = matches!(name, "localhost" | "127.0.0.1" | "[::1]");
    (!own)
        .then(|| Answer::refused(403, "ask for localhost"))
        .or_else(|| (request.method != "GET").then(|| Answer::refused(403, "changes take the Unix socket, or a token")))
}

/// One conversation, in a thread of its own.
fn talk<S: Stream + Send + 'static>(
    mut stream: S,
    busy: &Arc<AtomicUsize>,
    say: &Say,
    refuses: impl Fn(&Request) -> Option<Answer> + Send + 'static,
) {
    if busy.fetch_add(1, Ordering::Relaxed) >= CONVERSATIONS {
        busy.fetch_sub(1, Ordering::Relaxed);
        return;
    }
    let (busy, say) = (busy.clone(), say.clone());
    thread::spawn(move || {
        let answer = |request: Request| {
            if let Some(refused) = refuses(&request) {
                return refused;
            }
            say(request)
        };
        // Who goes away meanwhile has no answer.
        let _ = converse(&mut stream, answer);
        busy.fetch_sub(1, Ordering::Relaxed);
    });
}

#[cfg(test)]
mod tests;
