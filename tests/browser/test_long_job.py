"""A job with a long log: its page opens quickly, and no task blocks it for long."""

import time

from playwright.sync_api import Browser, expect
from sqlalchemy import text

from tests.browser.conftest import Run, visit
from tests.browser.test_job_page import chart, open_job
from tests.waiting import deadline

NUM_STEPS = 20_000
LONGEST_BLOCK_MS = 200
SLOWEST_SECONDS = 10  # some 0.5 s on an idle machine
NAMES = [
    *("reward", "groups/tied_fraction", "groups/all_right_fraction", "groups/all_wrong_fraction"),
    *("grad_norm", "entropy", "clip_ratio/low_mean", "clip_ratio/high_mean", "num_rollouts"),
    *("completions/mean_length", "learnt/sampling_logp_difference/mean", "step_time"),
    *("rollout/tokens_per_second", "train/tokens_per_second", "completions/max_length"),
    *("groups/keep_rate", "groups/expected_keep_rate", "num_tokens"),
    *("seconds/rollout", "seconds/reward", "seconds/update", "seconds/sync"),
]
WATCHING = """
    window.longest = 0; // ms
    new PerformanceObserver((tasks) => {
      const durations = tasks.getEntries().map((task) => task.duration);
      window.longest = Math.max(window.longest, ...durations);
    }).observe({ type: "longtask", buffered: true });
"""
FILLING = f"""
    insert into records (job_id, seq, attempt, kind, step, payload, at)
    select :job, :last + row_number() over (order by step, kind), :attempt, kind, step, payload,
        now()
    from (
        select 'metric' as kind, n as step,
            jsonb_build_object({", ".join(f"'{name}', random()" for name in NAMES)}) as payload
        from generate_series(1, {NUM_STEPS}) n
        union all
        select 'sample', n, jsonb_build_object('prompt', '1+1=', 'answer', '2', 'outcome', 'tied',
            'completions', jsonb_build_array(
                jsonb_build_object('text', 'one of step ' || n, 'reward', 0, 'rewards',
                    '{{}}'::jsonb, 'advantage', 0, 'num_tokens', 3, 'finish_reason', 'stop')))
        from generate_series(1, {NUM_STEPS}) n
        union all
        select 'eval', n, jsonb_build_object('eval/accuracy', n / {NUM_STEPS}.0)
        from generate_series(10, {NUM_STEPS}, 10) n
    ) told
"""


def fill(run: Run) -> None:
    """Write the log of a job that has trained for long."""
    with run.database.session() as session:
        job = {"job": run.job_id}
        last = session.execute(text("select last_seq from jobs where id = :job"), job).scalar_one()
        session.execute(text(FILLING), job | {"last": last, "attempt": run.attempt})
        count = "update jobs set last_seq = (select max(seq) from records where job_id = :job), "
        steps = "step = :steps, total_steps = :steps + 100 where id = :job"
        session.execute(text(count + steps), job | {"steps": NUM_STEPS})


def test_a_job_of_20000_steps_opens_at_once_and_never_blocks_the_page(
    chromium: Browser, address: str, key: str, run: Run
):
    run.claim()
    fill(run)
    before = run.last_seq()
    with visit(chromium, address) as page:
        page.add_init_script(WATCHING)
        page.reload()
        asked: list[str | None] = []
        page.on("request", lambda sent: asked.append(sent.headers.get("last-event-id")))
        open_job(page, address, key, run)
        began_at = time.monotonic()
        reward = chart(page, "Reward")
        expect(reward).to_contain_text(f"step {NUM_STEPS:,}", timeout=1000 * deadline(120))
        assert time.monotonic() - began_at < deadline(SLOWEST_SECONDS)
        expect(page.get_by_text(f"one of step {NUM_STEPS}", exact=True)).to_be_visible()
        slider = page.get_by_label("Step of the samples")
        slider.fill("7")
        expect(page.get_by_text("one of step 7", exact=True)).to_be_visible()
        for step in range(NUM_STEPS + 1, NUM_STEPS + 21):
            run.train(step, reward=0.5)
        expect(reward).to_contain_text(f"step {NUM_STEPS + 20:,}")
        page.get_by_label("Smoothing").fill("0.9")
        page.get_by_role("combobox", name="Over", exact=True).select_option("seconds")
        expect(reward).to_contain_text("h")
        longest = page.evaluate("window.longest")
        assert longest < LONGEST_BLOCK_MS
        assert [last for last in asked if last] == [str(before)], (
            "the log is not read from its start"
        )


def test_curves_that_grow_while_the_page_is_open_stay_short_and_keep_their_spikes(
    chromium: Browser, address: str
):
    grown = """async () => {
        const { JobLog } = await import("./js/job/job_log.js");
        const log = new JobLog();
        log.load({ reward: { step: [], value: [] } }, 0);
        for (let step = 1; step <= 5000; step++) {
            const payload = { reward: step === 2500 ? 9 : step === 2501 ? -9 : 0.5 };
            log.add({ seq: step, kind: "metric", step, attempt: 1, payload });
        }
        return log.columns(["reward"]);
    }"""
    with visit(chromium, address) as page:
        steps, values = page.evaluate(grown)
    assert len(steps) <= 1200
    assert steps == sorted(set(steps))
    assert (steps[0], steps[-1]) == (1, 5000)
    assert (values[steps.index(2500)], values[steps.index(2501)]) == (9, -9)
