//! The server that a lab's reals run: as much of HTTP as connections need that go on and on, and datagrams sent back, each
//! with the server's name. One thread, as many connections as there are descriptors.

use rustix::{
    event::epoll::{self, CreateFlags, EventData, EventFlags},
    io::Errno,
};
use std::{
    collections::HashMap,
    io::{self, ErrorKind, Read, Write},
    net::{IpAddr, Ipv4Addr, TcpListener, TcpStream, UdpSocket},
    os::fd::{AsRawFd, OwnedFd},
};

/// What a lab's balancers balance.
pub(super) const TCP: u16 = 80;
pub(super) const UDP: u16 = 443;
/// Bytes of a request that are kept until its end has come.
const REQUEST: usize = 4096;
/// What its listeners are to epoll; connections are their descriptors.
const LISTENER: u64 = u64::MAX;
const DATAGRAMS: u64 = u64::MAX - 8;

struct Connection {
    stream: TcpStream,
    asked: Vec<u8>,
}

/// Serves until the process ends; `addresses` are those that datagrams come to.
///
/// # Errors
/// The system's.
pub(super) fn serve(name: &str, addresses: &[IpAddr]) -> io::Result<()> {
    let poll = epoll::create(CreateFlags::CLOEXEC)?;
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, TCP))?;
    // As many at once as a lab makes.
    rustix::net::listen(&listener, 16_384)?;
    listener.set_nonblocking(true)?;
    epoll::add(&poll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    // From an address of their own each: answers come from where they were sent to.
    let sockets = addresses.iter().map(|address| UdpSocket::bind((*address, UDP))).collect::<io::Result<Vec<_>>>()?;
    for (number, socket) in (0..).zip(&sockets) {
        socket.set_nonblocking(true)?;
        epoll::add(&poll, socket, EventData::new_u64(DATAGRAMS + number), EventFlags::IN)?;
    }
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}\n", name.len() + 1);
    let mut open: HashMap<u64, Connection> = HashMap::new();
    let mut events: Vec<epoll::Event> = Vec::with_capacity(1024);
    loop {
        events.clear();
        match epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), None) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(why) => return Err(why.into()),
        }
        for event in &events {
            match event.data.u64() {
                LISTENER => accept(&listener, &poll, &mut open)?,
                number @ DATAGRAMS.. => echo(&sockets[(number - DATAGRAMS) as usize], name),
                number => {
                    if open.get_mut(&number).is_some_and(|connection| !connection.goes_on(answer.as_bytes())) {
                        open.remove(&number);
                    }
                }
            }
        }
    }
}

fn accept(listener: &TcpListener, poll: &OwnedFd, open: &mut HashMap<u64, Connection>) -> io::Result<()> {
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(true)?;
                let number = stream.as_raw_fd() as u64;
                epoll::add(poll, &stream, EventData::new_u64(number), EventFlags::IN | EventFlags::RDHUP)?;
                open.insert(number, Connection { stream, asked: Vec::new() });
            }
            Err(why) if why.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(why) if why.kind() == ErrorKind::ConnectionAborted => {}
            Err(why) => return Err(why),
        }
    }
}

/// The name, and what came.
fn echo(socket: &UdpSocket, name: &str) {
    let mut some = [0; 1500];
    while let Ok((len, from)) = socket.recv_from(&mut some) {
        let mut answer = name.as_bytes().to_vec();
        answer.push(b' ');
        answer.extend(&some[..len]);
        // As networks may, it loses what it has no room for.
        let _ = socket.send_to(&answer, from);
    }
}

impl Connection {
    /// Answers what is asked; `false`: it is over.
    fn goes_on(&mut self, answer: &[u8]) -> bool {
        let mut some = [0; 1024];
        loop {
            match self.stream.read(&mut some) {
                Ok(0) => return false,
                Ok(len) => self.asked.extend(&some[..len]),
                Err(why) if why.kind() == ErrorKind::WouldBlock => break,
                Err(_) => return false,
            }
        }
        while let Some(end) = self.asked.windows(4).position(|end| end == b"\r\n\r\n") {
            self.asked.drain(..end + 4);
            // Answers are short and clients read them: there is room for one.
            if self.stream.write_all(answer).is_err() {
                return false;
            }
        }
        self.asked.len() < REQUEST
    }
}
