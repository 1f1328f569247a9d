/** Counting: what vitest reported, and the closing line. */

/**
 * Counts a report of vitest's JSON reporter. A test that was skipped did not show anything: it counts as failed,
 * unless `allowed` gives a reason for it.
 * @param allowed {{ name: RegExp, reason?: string }[]} skips that are all right; without a reason they are not noted
 * @returns {{ passed: number, failed: number, notes: string[] }} notes: one line for each skip and broken file
 */
export function countTests(report, allowed = []) {
  const totals = { passed: 0, failed: 0, notes: [] };
  for (const file of report.testResults) {
    const before = totals.failed;
    for (const test of file.assertionResults) countTest(test, allowed, totals);
    if (file.status === 'failed' && totals.failed === before) {
      totals.failed++;
      totals.notes.push(`failed as a whole: ${file.name}`);
    }
  }
  if (!report.success && totals.failed === 0) {
    totals.failed++;
    totals.notes.push('vitest failed outside of any test: see above');
  }
  return totals;
}

function countTest(test, allowed, totals) {
  if (test.status === 'passed') totals.passed++;
  else if (test.status === 'failed') totals.failed++;
  else {
    const allowance = allowed.find(({ name }) => name.test(test.fullName));
    if (allowance === undefined) totals.failed++;
    const reason = allowance === undefined ? 'no reason known: counts as failed' : allowance.reason;
    if (reason !== undefined) totals.notes.push(`skipped: ${test.fullName} (${reason})`);
  }
}

export function closingLine({ passed, failed }) {
  return `${passed} passed, ${failed} failed`;
}

/** The last closing line in an output; undefined if there is none. */
export function readTotals(output) {
  const last = [...output.matchAll(/^(\d+) passed, (\d+) failed\r?$/gm)].at(-1);
  return last && { passed: Number(last[1]), failed: Number(last[2]) };
}

export function sum(a, b) {
  return { passed: a.passed + b.passed, failed: a.failed + b.failed };
}
