//! Where the API is answered, and to whom: on a Unix socket that its owner alone opens, and at an address, to those of this
//! machine, or to those who show a token or a certificate. Knows nothing of what is asked.

use crate::{
    Fault, Result,
    config::{Api, Config, Places, here::token},
    http::{Answer, Request, Stream, Until, converse},
    occupied::{self, Key, Kind},
    tls,
};
use alveary_diag::{Diagnostic, Place};
use rustix::{
    fs::Mode,
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with},
};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::{
    fs,
    io::{self, ErrorKind},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::{
        fs::{FileTypeExt, MetadataExt},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant, SystemTime},
};

/// Conversations at once, by door: who comes to one of them keeps nobody from another.
const BY_SOCKET: usize = 64;
const BY_ADDRESS: usize = 64;
const BY_METRICS: usize = 16;
/// Who waits at the socket to be let in, at most.
const WAITING: i32 = 128;
/// How long nobody is let in after the system has refused to: first, and at most.
const FIRST_REST: Duration = Duration::from_millis(10);
const REST: Duration = Duration::from_secs(1);

/// The folder of sockets, and of notes.
pub(crate) const FOLDER: &str = "/run/alveary";

/// Where a balancer's API answers unless its configuration says otherwise.
#[must_use]
pub fn socket(name: &str) -> PathBuf {
    Path::new(FOLDER).join(format!("lb-{name}.sock"))
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

/// The places where somebody can ask. Until they are [answered](Doors::answer) who comes waits.
pub struct Doors {
    /// Where they are.
    pub listening: Listening,
    unix: UnixListener,
    file: SocketFile,
    address: Option<TcpListener>,
    metrics: Option<TcpListener>,
    keys: Keys,
    /// Whoever comes to the address has shown a certificate.
    shown: bool,
}

/// Places where it is answered.
pub struct Answered {
    rooms: [Arc<Room>; 3],
    _file: SocketFile,
}

/// Opens the doors that a configuration asks for, and reads what who comes has to show. Nobody is answered yet.
///
/// # Errors
/// Nobody can be answered there, with the key that says so; the token or the certificates cannot be used.
pub fn open(config: &Config, places: &Places) -> Result<Doors> {
    let keys = Keys::read(&config.api)?;
    let path = config.api.socket.clone().unwrap_or_else(|| socket(&config.name));
    let (unix, file) = patiently(|| at_socket(&path))
        .map_err(|why| occupied::socket("lb-api", &path, ("api", "socket"), &why, places))?;
    let at = |address: Option<SocketAddr>, key| address.map(|address| at_address(address, key, places)).transpose();
    let (address, metrics) = (at(config.api.address, ("api", "address"))?, at(config.metrics, ("metrics", "address"))?);
    let listening =
        Listening { address: address.as_ref().map(|(_, at)| *at), metrics: metrics.as_ref().map(|(_, at)| *at) };
    let (address, metrics) = (address.map(|(listener, _)| listener), metrics.map(|(listener, _)| listener));
    let shown = config.api.tls.as_ref().is_some_and(|tls| tls.clients.is_some());
    Ok(Doors { listening, unix, file, address, metrics, keys, shown })
}

impl Doors {
    /// Answers who comes, from threads of its own; `log` hears of keys that were changed and cannot be used.
    ///
    /// # Errors
    /// The system has no threads.
    pub fn answer(
        self,
        say: impl Fn(Request) -> Answer + Send + Sync + 'static,
        log: impl Fn(String) + Send + 'static,
    ) -> Result<Answered> {
        let say: Say = Arc::new(say);
        let rooms = [BY_SOCKET, BY_ADDRESS, BY_METRICS].map(|most| Arc::new(Room::new(most)));
        let no_thread = |why: io::Error| wrong("any address", &why);
        let (unix, to, room) = (self.unix, say.clone(), rooms[0].clone());
        lets_in(move || unix.accept().map(|(stream, _)| stream), move |stream| talk(stream, &room, &to, |_| None))
            .map_err(no_thread)?;
        if let Some(listener) = self.address {
            let (to, room, shown, mut keys) = (say.clone(), rooms[1].clone(), self.shown, self.keys);
            let come = move |stream: TcpStream| {
                keys.renew().into_iter().for_each(&log);
                let token = keys.token.clone();
                let refuses = move |request: &Request| match &token {
                    // Nobody else came so far.
                    None if shown => None,
                    token => forbidden(request, token.as_deref()),
                };
                match &keys.speaks {
                    None => talk(stream, &room, &to, refuses),
                    Some(config) => match ServerConnection::new(config.clone()) {
                        Ok(server) => {
                            let stream = StreamOwned::new(server, Until::new(stream, Instant::now()));
                            talk(stream, &room, &to, refuses);
                        }
                        Err(why) => log(format!("nobody can be answered by TLS: {why}")),
                    },
                }
            };
            lets_in(move || listener.accept().map(|(stream, _)| stream), come).map_err(no_thread)?;
        }
        if let Some(listener) = self.metrics {
            let room = rooms[2].clone();
            let come = move |stream: TcpStream| {
                talk(stream, &room, &say, |request| {
                    (request.path != "/metrics").then(|| Answer::refused(404, "ask for /metrics"))
                });
            };
            lets_in(move || listener.accept().map(|(stream, _)| stream), come).map_err(no_thread)?;
        }
        Ok(Answered { rooms, _file: self.file })
    }
}

impl Answered {
    /// Waits until all that is asked is answered, but no longer than that.
    pub fn quiet(&self, most: Duration) {
        let end = Instant::now() + most;
        self.rooms.iter().for_each(|room| room.quiet(end));
    }
}

/// Lets in who comes, in a thread, for as long as the process lives: that the system refuses somebody, since there are no
/// descriptors for instance, passes.
fn lets_in<S>(
    mut next: impl FnMut() -> io::Result<S> + Send + 'static,
    mut come: impl FnMut(S) + Send + 'static,
) -> io::Result<()> {
    let lets = move || {
        let mut rest = FIRST_REST;
        loop {
            match next() {
                Ok(stream) => {
                    come(stream);
                    rest = FIRST_REST;
                }
                // Who has gone again, and a signal, say nothing of who comes next.
                Err(why) if matches!(why.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => {}
                Err(_) => {
                    thread::sleep(rest);
                    rest = (rest * 2).min(REST);
                }
            }
        }
    };
    thread::Builder::new().name("lets in".into()).spawn(lets).map(drop)
}

/// How many are talked to, and how many may be.
struct Room {
    most: usize,
    count: Mutex<usize>,
    fewer: Condvar,
}

impl Room {
    fn new(most: usize) -> Room {
        Room { most, count: Mutex::new(0), fewer: Condvar::new() }
    }

    fn count(&self) -> MutexGuard<'_, usize> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(self: &Arc<Room>) -> Option<Inside> {
        let mut count = self.count();
        (*count < self.most).then(|| {
            *count += 1;
            Inside(self.clone())
        })
    }

    fn quiet(&self, end: Instant) {
        let left = end.saturating_duration_since(Instant::now());
        drop(self.fewer.wait_timeout_while(self.count(), left, |count| *count > 0));
    }
}

/// Somebody who is talked to.
struct Inside(Arc<Room>);

impl Drop for Inside {
    fn drop(&mut self) {
        *self.0.count() -= 1;
        self.0.fewer.notify_all();
    }
}

/// What who comes to the address has to show, and what we do; read anew when a file has changed.
struct Keys {
    api: Api,
    stamps: Vec<Stamp>,
    token: Option<String>,
    speaks: Option<Arc<ServerConfig>>,
}

/// A file as it is: another one, or another content, has another.
type Stamp = Option<(SystemTime, u64, u64)>;

impl Keys {
    fn read(api: &Api) -> Result<Keys> {
        let stamps = stamps(api);
        let token = api
            .token
            .as_deref()
            .map(token)
            .transpose()
            .map_err(|why| Diagnostic::new("lb-api", "the token cannot be used", Place::Nowhere).found(why))?;
        let speaks = api.tls.as_ref().map(|tls| {
            let made = tls::server(&tls.certificate, &tls.key, tls.clients.as_deref());
            made.map_err(|why| wrong("the API's address", &io::Error::other(why)))
        });
        Ok(Keys { api: api.clone(), stamps, token, speaks: speaks.transpose()? })
    }

    /// Takes what has changed. What cannot be used, and may be half of a renewal, changes nothing: why is said once.
    fn renew(&mut self) -> Option<String> {
        let now = stamps(&self.api);
        if now == self.stamps {
            return None;
        }
        match Keys::read(&self.api) {
            Ok(keys) => *self = keys,
            Err(why) => {
                self.stamps = now;
                return Some(format!("keys of the API have changed and cannot be used, those of before are: {why}"));
            }
        }
        None
    }
}

fn stamps(api: &Api) -> Vec<Stamp> {
    let tls = api.tls.iter().flat_map(|tls| [Some(&tls.certificate), Some(&tls.key), tls.clients.as_ref()]);
    let stamp = |path: &PathBuf| {
        let about = fs::metadata(path).ok()?;
        Some((about.modified().ok()?, about.len(), about.ino()))
    };
    [api.token.as_ref()].into_iter().chain(tls).flatten().map(stamp).collect()
}

fn wrong(at: &str, why: &io::Error) -> Fault {
    let message = format!("nobody can be answered at {at}");
    Diagnostic::new("lb-api", message, Place::Nowhere).found(why.to_string()).into()
}

/// How long a place is waited for that a process which has just ended may still have.
const LEAVES: Duration = Duration::from_secs(1);

/// Takes a place, as soon as who has it has left, if that is soon.
pub(crate) fn patiently<T>(mut take: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let end = Instant::now() + LEAVES;
    loop {
        match take() {
            Err(why) if why.kind() == ErrorKind::AddrInUse && Instant::now() < end => thread::sleep(FIRST_REST),
            done => return done,
        }
    }
}

fn at_address(address: SocketAddr, key: Key, places: &Places) -> Result<(TcpListener, SocketAddr)> {
    let bound = patiently(|| TcpListener::bind(address)).and_then(|listener| Ok((listener.local_addr()?, listener)));
    let wrong = |why| occupied::address("lb-api", address, Kind::Tcp, key, &why, places).into();
    bound.map(|(at, listener)| (listener, at)).map_err(wrong)
}

/// The file of a socket, which goes with us.
struct SocketFile {
    path: PathBuf,
    inode: Option<u64>,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Another process may have made one in its place.
        if self.inode.is_some() && inode(&self.path) == self.inode {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn inode(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().map(|about| about.ino())
}

fn at_socket(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    if UnixStream::connect(path).is_ok() {
        return Err(ErrorKind::AddrInUse.into());
    }
    // What a process that is gone has left. Anything else that is there has another owner, and is in the way.
    if fs::symlink_metadata(path).is_ok_and(|about| about.file_type().is_socket()) {
        fs::remove_file(path)?;
    }
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    // Linux makes the file with the socket's mode: nobody else can come at any moment.
    rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    bind(&socket, &SocketAddrUnix::new(path)?)?;
    listen(&socket, WAITING)?;
    let unix = UnixListener::from(socket);
    Ok((unix, SocketFile { path: path.to_owned(), inode: inode(path) }))
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

/// One conversation, in a thread of its own. Who comes when there are too many is turned away.
fn talk<S: Stream + Send + 'static>(
    mut stream: S,
    room: &Arc<Room>,
    say: &Say,
    refuses: impl Fn(&Request) -> Option<Answer> + Send + 'static,
) {
    let Some(inside) = room.enter() else { return };
    let say = say.clone();
    let talks = move || {
        let answer = |request: Request| refuses(&request).unwrap_or_else(|| say(request));
        // Who goes away meanwhile has no answer.
        let _ = converse(&mut stream, answer);
        drop((stream, inside));
    };
    // Without a thread he is turned away as well.
    let _ = thread::Builder::new().name("talks".into()).spawn(talks);
}

#[cfg(test)]
mod tests;
