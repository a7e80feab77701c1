use std::time::Duration;

use aiops_core::Result;

use crate::config::require;

/// Most servers of a queue: formulas take time in their number.
pub(super) const MOST_SERVERS: u32 = 1_000_000;

/// Requests that come at random and are served by the first of several equal servers that is free, in order of arrival: M/M/c.
///
/// Sources: Erlang, *Solution of some problems in the theory of probabilities of significance in automatic telephone exchanges*, 1917; the
/// distribution of times after Gross & Harris, *Fundamentals of Queueing Theory*, section on M/M/c. Arrivals are Poisson and work is
/// exponential; work that varies less waits less, so for it the answers err on the safe side.
///
/// ```
/// use aiops_act::capacity::Queue;
/// use std::time::Duration;
/// // One server, half busy: the M/M/1 queue answers within t with probability 1 − exp(−(μ − λ) t).
/// let one = Queue::new(5.0, Duration::from_millis(100), 1)?;
/// assert!((one.waits() - 0.5).abs() < 1e-12);
/// assert!((one.answered_within(Duration::from_millis(300)) - (1.0 - (-1.5_f64).exp())).abs() < 1e-12);
/// # Ok::<(), aiops_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Queue {
    rate: f64,
    work: f64,
    servers: u32,
}

impl Queue {
    /// `rate` requests a second, 0..=10⁹, each worth `work` on average, more than 0 s and at most a day, for `servers`, 1..=10⁶.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](aiops_core::ErrorKind::Invalid) for what is out of range or NaN.
    pub fn new(rate: f64, work: Duration, servers: u32) -> Result<Self> {
        require((0.0..=1e9).contains(&rate), "rate", rate, "0..=1e9 a second")?;
        let day = Duration::from_secs(86_400);
        require(!work.is_zero() && work <= day, "work", format!("{work:?}"), "more than 0 s, at most a day")?;
        require((1..=MOST_SERVERS).contains(&servers), "servers", servers, "1..=1e6")?;
        Ok(Self { rate, work: work.as_secs_f64(), servers })
    }

    /// Offered load in erlangs: servers that would be busy if there were enough.
    #[must_use]
    pub fn offered(&self) -> f64 {
        self.rate * self.work
    }

    /// Share of the time that a server is busy; 1 or more is too much.
    #[must_use]
    pub fn utilisation(&self) -> f64 {
        self.offered() / f64::from(self.servers)
    }

    /// Probability that a request waits (Erlang C); 1 when there is too much to do. O(servers).
    #[must_use]
    pub fn waits(&self) -> f64 {
        waits_of(self.offered(), self.servers, blocked(self.offered(), 0, 1.0, self.servers))
    }

    /// Mean wait before service; `None` when the queue grows without end. O(servers).
    #[must_use]
    pub fn mean_wait(&self) -> Option<Duration> {
        let free = f64::from(self.servers) - self.offered();
        let mean = self.waits() * self.work / free;
        if free > 0.0 { Duration::try_from_secs_f64(mean).ok() } else { None }
    }

    /// Share of requests that are answered within `time` of their arrival, 0..=1; 0 when the queue grows without end. O(servers).
    #[must_use]
    pub fn answered_within(&self, time: Duration) -> f64 {
        within(self.offered(), self.work, self.servers, self.waits(), time.as_secs_f64())
    }
}

/// Erlang's B of `to` servers, from that of `from`, by the recursion over servers. With no server everybody is turned away: `from` 0, `b` 1.
pub(super) fn blocked(offered: f64, from: u32, b: f64, to: u32) -> f64 {
    (from..to).fold(b, |b, k| {
        let k = f64::from(k) + 1.0;
        offered * b / (k + offered * b)
    })
}

/// Erlang's C from B.
pub(super) fn waits_of(offered: f64, servers: u32, blocked: f64) -> f64 {
    let load = offered / f64::from(servers);
    if load < 1.0 { (blocked / (1.0 - load * (1.0 - blocked))).clamp(0.0, 1.0) } else { 1.0 }
}

/// Share whose wait and service together take at most `time`, of `waits` who wait for an exponential time with rate (c − a)/work.
pub(super) fn within(offered: f64, work: f64, servers: u32, waits: f64, time: f64) -> f64 {
    let free = f64::from(servers) - offered;
    if free <= 0.0 {
        return 0.0;
    }
    // In units of one service.
    let t = time / work;
    let served_later = (-t).exp();
    // Wait and service together last longer than t: hypoexponential with rates `free` and 1.
    let x = (free - 1.0) * t;
    let both_later = if x.abs() < 1.0 {
        // Where both rates are nearly equal the other form divides zero by zero.
        let slope = if x == 0.0 { 1.0 } else { -(-x).exp_m1() / x };
        served_later * (1.0 + t * slope)
    } else {
        (free * served_later - (-free * t).exp()) / (free - 1.0)
    };
    (1.0 - (1.0 - waits) * served_later - waits * both_later).clamp(0.0, 1.0)
}
