//! scratch
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs, reason="scratch")]
use std::process::ExitCode; use std::sync::Arc; use std::time::Duration;
use aiops_core::{Context, SystemClock, Clock, model::*, seam::*};
use aiops_examples::{shop::*, faults::*};
use aiops_prometheus::{*, store::*, scrape::{Scraper, ScrapeConfig, Target as T}};
fn main() -> ExitCode {
    if let Some(code) = run_if_service() { return code; }
    let args: Vec<String> = std::env::args().collect();
    let rt = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    rt.block_on(async {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let seed: u64 = args[2].parse().unwrap();
        let shop = Arc::new(Shop::start(ShopConfig::with_seed(seed), clock.clone()).await.unwrap());
        let ctx = Context::system();
        let store = SharedStore::new(StoreConfig{ honor_labels: true, ..Default::default()}).unwrap();
        let scraper = Arc::new(Scraper::new(ScrapeConfig::default(), store.clone()).unwrap());
        let s2 = shop.clone(); let sc2 = scraper.clone(); let c2 = ctx.clone();
        tokio::spawn(async move { loop {
            let ts: Vec<T> = s2.targets().into_iter().map(|t| T::new(t.url).with("service", t.service).with("instance", t.instance)).collect();
            sc2.set_targets(&ts, &c2).unwrap(); sc2.scrape_once(&c2).await; tokio::time::sleep(Duration::from_millis(1000)).await; } });
        let mut mapping = EntityMapping::default();
        mapping.calls = vec![CallMapping{ metric: "http_client_requests_total".into(), caller: vec![], callee: vec!["peer_service".into()]}];
        let sel = MetricSelection{ rate_window_steps: 3, quantiles: vec![0.5,0.95], ..Default::default()};
        let src = EmbeddedSource::new(store, sel, mapping).unwrap();
        tokio::time::sleep(Duration::from_secs(25)).await;
        let fault: Option<Fault> = args[1].parse().ok();
        let t0 = std::time::Instant::now();
        let inj = async { if let Some(f) = fault { let i = Injection::draw(f, seed); println!("inject {:?}", i); let t = i.inject(&shop, clock.now()).await; println!("{t:?}"); } };
        let watch = async {
        let det = aiops_detect::RollingDetector::unfitted(Default::default()).unwrap();
        for _ in 0..6 {
            tokio::time::sleep(Duration::from_secs(3)).await;
            let req = FetchRequest::new(TimeRange::ending_at(clock.now(), Duration::from_secs(40))).with_step(Duration::from_secs(1)).with_signals(Signal::Metrics.into());
            let tt = std::time::Instant::now();
            let w = src.fetch(&req, &ctx).await.unwrap();
            let fetched = tt.elapsed();
            let a = det.find(&w);
            println!("--- +{:.1}s series {} anomalies {} fetch {:?} detect {:?} traffic {:?}", t0.elapsed().as_secs_f64(), w.metrics.len(), a.len(), fetched, tt.elapsed()-fetched, shop.traffic().last(Duration::from_secs(3)));
            if args.len()>3 { for x in &a { println!("   {} {} {} onset {} v {:.3} base {:.3} sigma {:.1} ongoing {}", x.entity, x.series, x.shape, x.onset.strftime("%H:%M:%S"), x.value, x.baseline.center, x.sigma, x.ongoing); } }
        } };
        tokio::join!(inj, watch);
        Arc::try_unwrap(shop).ok();
    });
    ExitCode::SUCCESS
}
