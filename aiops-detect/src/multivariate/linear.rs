//! Small symmetric linear algebra: Cholesky factors and eigenvectors of covariance matrices.

/// A square matrix, row by row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Square {
    pub(crate) size: usize,
    pub(crate) cells: Vec<f64>,
}

impl Square {
    pub(crate) fn zero(size: usize) -> Self {
        Self { size, cells: vec![0.0; size * size] }
    }

    pub(crate) fn identity(size: usize) -> Self {
        let mut unit = Self::zero(size);
        unit.cells.iter_mut().step_by(size + 1).for_each(|cell| *cell = 1.0);
        unit
    }

    pub(crate) fn at(&self, row: usize, column: usize) -> f64 {
        self.cells.get(row * self.size + column).copied().unwrap_or(0.0)
    }

    fn set(&mut self, row: usize, column: usize, value: f64) {
        if let Some(cell) = self.cells.get_mut(row * self.size + column) {
            *cell = value;
        }
    }

    pub(crate) fn rows(&self) -> std::slice::ChunksExact<'_, f64> {
        self.cells.chunks_exact(self.size.max(1))
    }

    pub(crate) fn trace(&self) -> f64 {
        self.cells.iter().step_by(self.size + 1).sum()
    }

    /// Second moments about zero: Xᵀ X / n of `count` rows. O(n · size²).
    pub(crate) fn second_moments<'a>(rows: impl Iterator<Item = &'a [f64]>, size: usize) -> (Self, usize) {
        let mut moments = Self::zero(size);
        let mut count = 0_usize;
        for row in rows {
            count += 1;
            for (cells, left) in moments.cells.chunks_exact_mut(size).zip(row) {
                for (cell, right) in cells.iter_mut().zip(row) {
                    *cell += left * right;
                }
            }
        }
        let n = count.max(1) as f64;
        moments.cells.iter_mut().for_each(|cell| *cell /= n);
        (moments, count)
    }

    /// Lower triangular L with L Lᵀ = self; `None` when the matrix is not positive definite. O(size³).
    pub(crate) fn cholesky(&self) -> Option<Self> {
        let mut lower = Self::zero(self.size);
        for row in 0..self.size {
            for column in 0..=row {
                let done: f64 = (0..column).map(|k| lower.at(row, k) * lower.at(column, k)).sum();
                let rest = self.at(row, column) - done;
                let value = if row == column {
                    if rest.is_nan() || rest <= 0.0 {
                        return None;
                    }
                    rest.sqrt()
                } else {
                    rest / lower.at(column, column)
                };
                lower.set(row, column, value);
            }
        }
        Some(lower)
    }

    /// Solves L y = x for lower triangular L, in place. O(size²).
    pub(crate) fn forward(&self, x: &mut [f64]) {
        for (row, cells) in self.rows().enumerate() {
            let (done, rest) = x.split_at_mut(row.min(x.len()));
            let known: f64 = cells.iter().zip(done.iter()).map(|(l, y)| l * y).sum();
            if let (Some(first), Some(diagonal)) = (rest.first_mut(), cells.get(row)) {
                *first = (*first - known) / diagonal;
            }
        }
    }

    /// Solves Lᵀ y = x for lower triangular L, in place. O(size²).
    pub(crate) fn backward(&self, x: &mut [f64]) {
        for row in (0..self.size).rev() {
            let known: f64 = x.iter().enumerate().skip(row + 1).map(|(k, y)| self.at(k, row) * y).sum();
            if let Some(value) = x.get_mut(row) {
                *value = (*value - known) / self.at(row, row);
            }
        }
    }

    /// Inverse of the positive definite matrix whose Cholesky factor this is. O(size³).
    pub(crate) fn inverse_of_product(&self) -> Self {
        let mut inverse = Self::zero(self.size);
        for (row, cells) in inverse.cells.chunks_exact_mut(self.size.max(1)).enumerate() {
            if let Some(cell) = cells.get_mut(row) {
                *cell = 1.0;
            }
            self.forward(cells);
            self.backward(cells);
        }
        inverse
    }

    /// Eigenvalues, falling, and their eigenvectors as rows: the cyclic Jacobi method (Golub and Van Loan, *Matrix
    /// Computations*, §8.5), which is exact to rounding for symmetric matrices of this size. O(size³) a sweep.
    pub(crate) fn eigen(&self) -> (Vec<f64>, Self) {
        let mut a = self.clone();
        let mut vectors = Self::identity(self.size);
        let scale: f64 = self.cells.iter().map(|v| v * v).sum();
        for _ in 0..60 {
            let off: f64 = a.off_diagonal();
            if off.is_nan() || off <= 1e-22 * scale {
                break;
            }
            for p in 0..self.size {
                for q in p + 1..self.size {
                    rotate(&mut a, &mut vectors, p, q);
                }
            }
        }
        let mut order: Vec<usize> = (0..self.size).collect();
        order.sort_by(|x, y| a.at(*y, *y).total_cmp(&a.at(*x, *x)).then(x.cmp(y)));
        let values = order.iter().map(|i| a.at(*i, *i)).collect();
        let cells = order.iter().filter_map(|i| vectors.rows().nth(*i)).flatten().copied().collect();
        (values, Self { size: self.size, cells })
    }

    fn off_diagonal(&self) -> f64 {
        let all: f64 = self.cells.iter().map(|v| v * v).sum();
        let diagonal: f64 = self.cells.iter().step_by(self.size + 1).map(|v| v * v).sum();
        all - diagonal
    }
}

/// One Jacobi rotation: makes cell (p, q) of `a` zero. `vectors` holds the rows turned so far.
fn rotate(a: &mut Square, vectors: &mut Square, p: usize, q: usize) {
    let apq = a.at(p, q);
    if apq == 0.0 {
        return;
    }
    let theta = (a.at(q, q) - a.at(p, p)) / (2.0 * apq);
    let t = theta.signum() / (theta.abs() + theta.hypot(1.0));
    let c = 1.0 / t.hypot(1.0);
    let s = t * c;
    for k in 0..a.size {
        let (kp, kq) = (a.at(k, p), a.at(k, q));
        a.set(k, p, c * kp - s * kq);
        a.set(k, q, s * kp + c * kq);
    }
    for matrix in [a, vectors] {
        for k in 0..matrix.size {
            let (pk, qk) = (matrix.at(p, k), matrix.at(q, k));
            matrix.set(p, k, c * pk - s * qk);
            matrix.set(q, k, s * pk + c * qk);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(size: usize, seed: u64) -> Square {
        let mut rng = fastrand::Rng::with_seed(seed);
        let rows: Vec<f64> = (0..size * size * 3).map(|_| rng.f64() - 0.5).collect();
        Square::second_moments(rows.chunks_exact(size), size).0
    }

    #[test]
    fn factors_and_eigenvectors_give_the_matrix_back() {
        for size in [1, 2, 7, 20] {
            let a = random(size, size as u64);
            let l = a.cholesky().unwrap();
            let (values, vectors) = a.eigen();
            assert!(values.is_sorted_by(|x, y| x >= y));
            for i in 0..size {
                for j in 0..size {
                    let product: f64 = (0..size).map(|k| l.at(i, k) * l.at(j, k)).sum();
                    assert!((product - a.at(i, j)).abs() < 1e-12);
                    let spectral: f64 =
                        (0..size).map(|k| values[k] * vectors.at(k, i) * vectors.at(k, j)).sum();
                    assert!((spectral - a.at(i, j)).abs() < 1e-10, "{spectral} {}", a.at(i, j));
                }
            }
            // Solving with both factors inverts the product.
            let mut x: Vec<f64> = (0..size).map(|j| a.at(0, j)).collect();
            l.forward(&mut x);
            l.backward(&mut x);
            assert!((x[0] - 1.0).abs() < 1e-8 && x[1..].iter().all(|v| v.abs() < 1e-8), "{x:?}");
            let inverse = l.inverse_of_product();
            for i in 0..size {
                for j in 0..size {
                    let product: f64 = (0..size).map(|k| a.at(i, k) * inverse.at(k, j)).sum();
                    assert!((product - f64::from(u8::from(i == j))).abs() < 1e-8);
                }
            }
        }
        assert_eq!(Square::zero(2).cholesky(), None);
    }
}
