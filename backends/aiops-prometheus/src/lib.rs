//! Prometheus and VictoriaMetrics source, and an embedded exposition scraper for aiops.
