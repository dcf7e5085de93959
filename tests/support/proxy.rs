//! A TCP line on loopback with faults that can be switched on and off.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What the line does.
#[derive(Clone, Debug, PartialEq)]
pub enum Mode {
    /// Passes everything.
    Pass,
    /// Closes new connections at once; existing ones pass.
    RefuseNew,
    /// Resets every connection, existing and new.
    Reset,
    /// Connections from before the switch carry nothing more; new ones pass.
    BlackholeExisting,
    /// No connection carries anything; new ones are accepted.
    BlackholeAll,
    /// Everything takes so long per direction.
    Latency(Duration),
    /// Replies are replaced by these bytes.
    Garbage(Vec<u8>),
    /// The next reply is cut after so many bytes, then the connection ends.
    Truncate(usize),
    /// Bytes pass in slices of so many.
    Slice(usize),
    /// Requests in which these bytes stand are held back for so long, and what follows them on the line, too.
    Hold(&'static str, Duration),
    /// Every connection carries so many bytes of replies from now on, and nothing more after them.
    StallAfter(usize),
}

/// A running proxy; ends when dropped.
pub struct FaultProxy {
    pub port: u16,
    mode: watch::Sender<(u64, Mode)>,
    opened: Arc<AtomicU64>,
    live: Arc<AtomicU64>,
    peak: Arc<AtomicU64>,
    accepting: JoinHandle<()>,
}

impl FaultProxy {
    pub async fn start(upstream: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (mode, watched) = watch::channel((0, Mode::Pass));
        let (opened, live, peak) = <(Arc<AtomicU64>, Arc<AtomicU64>, Arc<AtomicU64>)>::default();
        let counters = (Arc::clone(&opened), Arc::clone(&live), Arc::clone(&peak));
        let accepting = tokio::spawn(async move {
            let upstream = SocketAddr::from(([127, 0, 0, 1], upstream));
            while let Ok((client, _)) = listener.accept().await {
                let (opened, live, peak) = counters.clone();
                opened.fetch_add(1, Ordering::SeqCst);
                let now = live.fetch_add(1, Ordering::SeqCst) + 1;
                peak.fetch_max(now, Ordering::SeqCst);
                let watched = watched.clone();
                tokio::spawn(async move {
                    carry(client, upstream, watched).await;
                    live.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self {
            port,
            mode,
            opened,
            live,
            peak,
            accepting,
        }
    }

    /// Switches the line.
    pub fn set(&self, mode: Mode) {
        self.mode.send_modify(|(epoch, current)| {
            *epoch += 1;
            *current = mode;
        });
    }

    /// Connections ever accepted.
    pub fn opened(&self) -> u64 {
        self.opened.load(Ordering::SeqCst)
    }

    /// Connections open now.
    pub fn live(&self) -> u64 {
        self.live.load(Ordering::SeqCst)
    }

    /// The most connections that were open at once.
    pub fn peak(&self) -> u64 {
        self.peak.load(Ordering::SeqCst)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

type Watched = watch::Receiver<(u64, Mode)>;

async fn carry(mut client: TcpStream, upstream: SocketAddr, mut mode: Watched) {
    let (born, now) = mode.borrow_and_update().clone();
    let _ = client.set_nodelay(true);
    match now {
        Mode::RefuseNew => return,
        Mode::Reset => return reset(&client),
        _ => {}
    }
    let Ok(mut server) = TcpStream::connect(upstream).await else {
        return;
    };
    let _ = server.set_nodelay(true);
    let was_reset = {
        let (client_read, client_write) = client.split();
        let (server_read, server_write) = server.split();
        let up = pump(client_read, server_write, mode.clone(), born, false);
        let down = pump(server_read, client_write, mode.clone(), born, true);
        // Either end closing ends both, at once.
        tokio::select! {
            _ = up => false,
            _ = down => false,
            _ = mode.wait_for(|(_, mode)| *mode == Mode::Reset) => true,
        }
    };
    if was_reset {
        reset(&client);
    }
}

/// Dropped after this, the connection ends with RST instead of FIN.
fn reset(client: &TcpStream) {
    let _ = client.set_zero_linger();
}

/// Carries one direction until it ends.
async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mode: Watched,
    born: u64,
    is_reply: bool,
) -> Option<()> {
    let mut buffer = vec![0; 64 * 1024];
    let mut swallowed = false;
    let mut carried = (born, 0);
    loop {
        let read = from.read(&mut buffer).await.ok().filter(|read| *read > 0)?;
        let data = &buffer[..read];
        let (epoch, now) = mode.borrow().clone();
        // A line that once swallowed something never carries again: what follows would be out of step.
        swallowed |= now == Mode::BlackholeAll || (now == Mode::BlackholeExisting && born < epoch);
        if swallowed {
            continue;
        }
        if carried.0 != epoch {
            carried = (epoch, 0);
        }
        match now {
            Mode::StallAfter(bytes) if is_reply => {
                let passes = read.min(bytes - carried.1);
                to.write_all(&data[..passes]).await.ok()?;
                carried.1 += passes;
                swallowed = carried.1 == bytes;
            }
            Mode::Latency(by) => {
                tokio::time::sleep(by).await;
                to.write_all(data).await.ok()?;
            }
            Mode::Hold(words, by) if !is_reply => {
                if data.windows(words.len()).any(|at| at == words.as_bytes()) {
                    tokio::time::sleep(by).await;
                }
                to.write_all(data).await.ok()?;
            }
            Mode::Garbage(bytes) if is_reply => to.write_all(&bytes).await.ok()?,
            Mode::Truncate(at) if is_reply => {
                to.write_all(&data[..at.min(read)]).await.ok()?;
                to.shutdown().await.ok()?;
                return None;
            }
            Mode::Slice(size) => {
                for slice in data.chunks(size.max(1)) {
                    to.write_all(slice).await.ok()?;
                    tokio::task::yield_now().await;
                }
            }
            _ => to.write_all(data).await.ok()?,
        }
    }
}
