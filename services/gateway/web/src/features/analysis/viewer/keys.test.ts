import { expect, test, vi } from "vitest";

import { act, actionOf } from "./keys";

const press = (key: string) => ({ key, shiftKey: false, ctrlKey: false, altKey: false, metaKey: false });

test("nothing is measured by a key where the pixels' size isn't known", () => {
  const setTool = vi.fn();
  const hands = { stage: undefined, n: 0, total: 9, onN: vi.fn(), setHeat: vi.fn(), setTool };
  const measure = actionOf(press("m"))!;
  act(measure, { ...hands, measurable: false });
  expect(setTool).not.toHaveBeenCalled();
  act(measure, { ...hands, measurable: true });
  act(actionOf(press("p"))!, { ...hands, measurable: false });
  expect(setTool.mock.calls).toEqual([["measure"], ["pan"]]);
});
