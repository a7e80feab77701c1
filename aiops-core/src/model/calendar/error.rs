use jiff::civil::Date;

use super::{Calendar, EventKind};
use crate::error::{Error, ErrorKind};

/// Why a calendar cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CalendarError {
    /// Neither a zone of the database nor a POSIX string.
    #[error("an unknown time zone: {zone:?}")]
    UnknownZone {
        /// What it says.
        zone: String,
    },
    /// More events than are kept.
    #[error("{events} events where at most {} are kept", Calendar::MOST_EVENTS)]
    TooMany {
        /// How many.
        events: usize,
    },
    /// An event without a name, or with a long one.
    #[error("an event is named by 1 to 128 bytes, not {id:?}")]
    Name {
        /// Its name.
        id: String,
    },
    /// Two events of one name.
    #[error("two events are named {id:?}")]
    Twice {
        /// The name.
        id: String,
    },
    /// It ends before, or as, it begins.
    #[error("{event:?} ends at {to}, not after it begins at {from}")]
    Backwards {
        /// The event.
        event: String,
        /// Its beginning.
        from: String,
        /// Its end.
        to: String,
    },
    /// No day of a month.
    #[error("{event:?} is on day {day} of the month; days are 1 to 31 and −31 to −1")]
    MonthDay {
        /// The event.
        event: String,
        /// The day.
        day: i8,
    },
    /// No date meets all its conditions.
    #[error("{event:?} is on no date: nothing meets all its conditions")]
    Never {
        /// The event.
        event: String,
    },
    /// Only maintenance holds alerts back.
    #[error("{event:?} is no maintenance and cannot hold back critical alerts")]
    HoldsNothing {
        /// The event.
        event: String,
    },
    /// Two of one kind about the same at once: which of them a sample belongs to cannot be told.
    #[error(
        "{first:?} and {second:?} are both {kind} about the same at once on {date}: make them one, or part their times"
    )]
    Contradiction {
        /// What stands first.
        first: String,
        /// What stands second.
        second: String,
        /// Of both.
        kind: EventKind,
        /// A local date on which both hold.
        date: Date,
    },
}

impl From<CalendarError> for Error {
    fn from(error: CalendarError) -> Self {
        Self::new(ErrorKind::Invalid, error.to_string()).caused_by(error)
    }
}
