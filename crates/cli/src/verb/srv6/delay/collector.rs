//! A collector: reports of a segment, into statistics, a file, an endpoint for Prometheus.

use super::{
    Receiver, Report, Statistics,
    monitor::Counts,
    prometheus::{self, Endpoint},
};
use crate::failure::Failure;
use std::{
    fs::File,
    io::{self, BufWriter, Write},
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// How often clocks are compared.
const COMPARED: Duration = Duration::from_secs(1);

/// A segment whose reports are read as long as somebody takes turns.
pub(in super::super) struct Collector {
    receiver: Receiver,
    pub(in super::super) statistics: Statistics,
    export: Option<(PathBuf, BufWriter<File>)>,
    endpoint: Option<Endpoint>,
    compared: Instant,
}

impl Collector {
    pub(in super::super) fn new(segment: (IpAddr, u8), device: u32) -> Result<Collector, Failure> {
        Ok(Collector {
            receiver: Receiver::new(segment, device)?,
            statistics: Statistics::default(),
            export: None,
            endpoint: None,
            compared: Instant::now(),
        })
    }

    /// Writes a line for each report from now on.
    pub(super) fn export(&mut self, path: &Path) -> Result<(), Failure> {
        let made = File::create(path).map(BufWriter::new).and_then(|mut file| {
            writeln!(file, "path,sequence,sent,reflected,received,delay")?;
            Ok(file)
        });
        let file = made.map_err(|why| Failure::file("write", path, &why))?;
        self.export = Some((path.to_owned(), file));
        Ok(())
    }

    /// Answers Prometheus from now on; gives the address.
    pub(super) fn listen(&mut self, address: SocketAddr) -> Result<SocketAddr, Failure> {
        let endpoint = Endpoint::new(address)?;
        let at = endpoint.address().unwrap_or(address);
        self.endpoint = Some(endpoint);
        Ok(at)
    }

    /// Reads what there is, and waits no longer than that if there is nothing.
    pub(in super::super) fn turn(&mut self, most: Duration) -> Result<(), Failure> {
        let (statistics, export) = (&mut self.statistics, &mut self.export);
        let mut written = Ok(());
        self.receiver.wait(most, |report| {
            statistics.add(report);
            if let (Some((_, file)), Ok(())) = (export.as_mut(), &written) {
                written = line(file, report);
            }
        })?;
        if let Some((path, _)) = &self.export {
            written.map_err(|why| Failure::file("write", path, &why))?;
        }
        if let Some(endpoint) = &self.endpoint {
            let counts = self.receiver.counts()?;
            endpoint.answer(|| prometheus::text(&self.statistics, &counts));
        }
        if self.compared.elapsed() >= COMPARED {
            self.receiver.set_clock()?;
            self.compared = Instant::now();
        }
        Ok(())
    }

    pub(in super::super) fn counts(&self) -> Result<Counts, Failure> {
        self.receiver.counts()
    }

    /// Writes what is still buffered.
    pub(super) fn finish(&mut self) -> Result<(), Failure> {
        match &mut self.export {
            Some((path, file)) => file.flush().map_err(|why| Failure::file("write", path, &why)),
            None => Ok(()),
        }
    }
}

fn line(file: &mut impl Write, report: &Report) -> io::Result<()> {
    let Report { path, sequence, sent, reflected, received, .. } = report;
    writeln!(file, "{path},{sequence},{sent},{reflected},{received},{}", report.delay())
}
