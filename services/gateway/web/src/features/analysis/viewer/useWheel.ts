import { useEffect, useRef } from "react";

const NOTCH = 40;

/** A notch of the wheel is a slice: down is towards the feet. */
export function useWheel(onSteps: (steps: number) => void) {
  const target = useRef<HTMLDivElement>(null);
  const steps = useRef(onSteps);
  useEffect(() => {
    steps.current = onSteps;
  });
  useEffect(() => {
    const element = target.current;
    let turned = 0;
    const turn = (event: WheelEvent) => {
      if (event.ctrlKey) return;
      event.preventDefault(); // which React's own listeners can't: they are passive
      turned += event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? event.deltaY : event.deltaY * NOTCH;
      const whole = Math.abs(turned) >= NOTCH * 2 ? Math.sign(turned) : Math.trunc(turned / NOTCH);
      if (whole === 0) return;
      turned = 0;
      steps.current(-whole);
    };
    element?.addEventListener("wheel", turn, { passive: false });
    return () => element?.removeEventListener("wheel", turn);
  }, []);
  return target;
}
