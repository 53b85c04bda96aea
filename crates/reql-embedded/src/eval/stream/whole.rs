//! Reading a stream to its end.

use std::cell::Cell;
use std::sync::Arc;

use super::{ParallelScan, Row, Stream};
use crate::budget::memory::Reservation;
use crate::datum::Datum;
use crate::error::{At, Bt, Result};
use crate::eval::env::Env;

impl Stream {
    /// Reads all rows, and takes the results of `make` in order. Several threads share the work if
    /// `may_share` is true and the stages allow it. An error may have no place, as from
    /// [`next_row`](Self::next_row).
    pub fn for_each<T: Send + 'static>(
        &mut self,
        env: &Env,
        may_share: bool,
        make: impl Fn(&Env, Row) -> Result<Option<T>> + Send + Sync + 'static,
        mut take: impl FnMut(T) -> Result<()>,
    ) -> Result<()> {
        let make = Arc::new(make);
        if may_share {
            let of_morsel = {
                let make = make.clone();
                move |mut part: Stream, room: usize, env: &Env| part.make_of_all(env, room, &*make)
            };
            for morsel in ParallelScan::read(self, env, of_morsel).into_iter().flatten() {
                let (made, end) = morsel?;
                made.into_iter().try_for_each(&mut take)?;
                end?;
            }
        }
        while let Some(item) = self.make_of_next(env, &*make)? {
            take(item)?;
        }
        Ok(())
    }

    /// Returns the next result of `make`, for the next row that has one; `None` at the end.
    fn make_of_next<T>(
        &mut self,
        env: &Env,
        make: impl Fn(&Env, Row) -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        while let Some(row) = self.next_row(env)? {
            match make(env, row) {
                Ok(None) => {}
                Ok(made) => return Ok(made),
                Err(error) => return Err(self.error_of_work(error)),
            }
        }
        Ok(None)
    }

    /// Returns the results of `make` for all rows, and the error after them, if there is one; `None` if the
    /// rows take more bytes than there is room for.
    fn make_of_all<T>(
        &mut self,
        env: &Env,
        room: usize,
        make: impl Fn(&Env, Row) -> Result<Option<T>>,
    ) -> Option<(Vec<T>, Result<()>)> {
        let taken = Cell::new(0);
        let may_grow = self.stages.iter().any(|stage| stage.may_grow());
        let measured = |env: &Env, row: Row| {
            if may_grow {
                taken.set(taken.get() + size_of::<Row>() + row.value.size());
            }
            make(env, row)
        };
        let mut made = Vec::new();
        let end = loop {
            match self.make_of_next(env, measured) {
                Ok(Some(item)) => made.push(item),
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
            if taken.get() > room {
                return None;
            }
        };
        Some((made, end))
    }

    /// Returns all rows as an array. The term `bt` is to blame if they are more than the array limit.
    pub fn collect(self, env: &Env, bt: Bt) -> Result<Datum> {
        self.rows(env, bt).map(|(rows, _)| Datum::array(rows))
    }

    /// Returns all rows, and their memory. The term `bt` is to blame if they are more than the array limit.
    pub fn rows(mut self, env: &Env, bt: Bt) -> Result<(Vec<Datum>, Reservation)> {
        self.read_all(env, bt).map_err(|error| error.at(self.place()))
    }

    /// Aggregates all rows to an array. An error may have no place, as from [`next_row`](Self::next_row).
    pub fn to_array(mut self, env: &Env) -> Result<Datum> {
        self.read_all(env, Bt::default()).map(|(rows, _)| Datum::array(rows))
    }

    fn read_all(&mut self, env: &Env, bt: Bt) -> Result<(Vec<Datum>, Reservation)> {
        self.check_finite()?;
        self.check_ungrouped()?;
        let (mut rows, mut held) = (Vec::new(), env.reserve());
        // Rows without any stages are faster taken here than handed to other threads.
        let is_worked_on = !self.stages.is_empty();
        self.for_each(
            env,
            is_worked_on,
            |_, row| Ok(Some(row.value)),
            |row| {
                held.add(&row)?;
                rows.push(row);
                env.limits.check_array(rows.len()).at(bt)
            },
        )?;
        Ok((rows, held))
    }
}
