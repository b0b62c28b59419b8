//! A web server of a few pages, and someone who reads them.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    thread,
};

use crate::Outcome;

const PORTS: [u16; 2] = [80, 8080];

/// The pages: path, status, how often the line of text is repeated in it.
const PAGES: &[(&str, &str, usize)] = &[
    ("/", "200 OK", 8),
    ("/style.css", "200 OK", 20),
    ("/frames.html", "200 OK", 70),
    ("/honey.txt", "200 OK", 150),
    ("/missing", "404 Not Found", 1),
    ("/favicon.ico", "204 No Content", 0),
];

const TEXT: &str = "An alveary is a beehive; each cell holds what the others need, and none stands on its own.\n";

/// Connections to each port, requests over each connection.
const CONNECTIONS: usize = 12;
const REQUESTS: usize = 5;

/// Answers requests on all ports, each connection on a thread of its own, until the process ends.
pub(crate) fn serve(address: IpAddr) -> Outcome {
    for port in PORTS {
        let listener = TcpListener::bind((address, port)).map_err(|error| format!("[{address}]:{port}: {error}"))?;
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                // A client that goes away ends its connection, not the server.
                thread::spawn(move || drop(answer(connection)));
            }
        });
    }
    Ok(())
}

fn answer(connection: TcpStream) -> std::io::Result<()> {
    connection.set_nodelay(true)?;
    let mut requests = BufReader::new(connection.try_clone()?);
    let mut connection = connection;
    loop {
        let mut first = String::new();
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            if requests.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if first.is_empty() {
                first.clone_from(&line);
            }
        }
        let path = first.split(' ').nth(1).unwrap_or("/");
        let (_, status, repeat) = PAGES.iter().find(|(page, ..)| *page == path).unwrap_or(&PAGES[4]);
        let body = TEXT.repeat(*repeat);
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status}\r\nServer: hive\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n"
        );
        connection.write_all(head.as_bytes())?;
        connection.write_all(body.as_bytes())?;
    }
}

/// Reads pages over several connections, one after the other.
pub(crate) fn browse(server: IpAddr) -> Outcome {
    for port in PORTS {
        for number in 0..CONNECTIONS {
            let target = SocketAddr::new(server, port);
            read_pages(target, number).map_err(|error| format!("http://{target}: {error}"))?;
        }
    }
    Ok(())
}

fn read_pages(server: SocketAddr, number: usize) -> std::io::Result<()> {
    let mut connection = TcpStream::connect(server)?;
    connection.set_nodelay(true)?;
    let mut answers = BufReader::new(connection.try_clone()?);
    for request in 0..REQUESTS {
        let (path, ..) = PAGES[(number + request) % PAGES.len()];
        let head =
            format!("GET {path} HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: bee/1.0\r\nAccept: */*\r\n\r\n");
        connection.write_all(head.as_bytes())?;
        let mut length = 0;
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            if answers.read_line(&mut line)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(value) = line.strip_prefix("Content-Length: ") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        answers.read_exact(&mut vec![0; length])?;
    }
    Ok(())
}
