"""flow.steps: the steps of the pipeline that are run, one file each: `step(work) -> Made`."""
