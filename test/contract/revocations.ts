import { describe, expect, test } from 'vitest';
import { type Fleet, fresh } from './fleet.ts';

export function describeRevocations(fleet: () => Fleet): void {
  describe('revocations', () => {
    const known = async (subject: string) =>
      (await fleet().b.store.revocations()).filter((revocation) => revocation.subject === subject);

    test('are kept for every node, each subject with the latest', async () => {
      const { a, b } = fleet();
      const [ann, bob] = [`customer:${fresh('ann')}`, `partner:${fresh('bob')}`];
      const at = Date.now();
      await a.store.revoke({ subject: ann, before: at });
      await b.store.revoke({ subject: ann, before: at + 5 });
      await a.store.revoke({ subject: ann, before: at + 2 });
      await a.store.revoke({ subject: bob, before: at });
      expect(await known(ann)).toEqual([{ subject: ann, before: at + 5 }]);
      expect(await known(bob)).toEqual([{ subject: bob, before: at }]);
      expect(await known(fresh('nobody'))).toEqual([]);
    });
  });
}
