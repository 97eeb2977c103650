package group

import (
	"os"
	"strconv"
)

// launched is of how many processes a launcher of MPI programs says this is one: mpirun of Open MPI, of MPICH and its kin, or SLURM's
// srun with its MPI plugin; 0: none says so.
func launched() int {
	for _, name := range []string{"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE"} {
		if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
			return n
		}
	}
	if os.Getenv("PMIX_RANK") != "" { // srun --mpi=pmix tells the size by SLURM's own variable
		n, _ := strconv.Atoi(os.Getenv("SLURM_NTASKS"))
		return n
	}
	return 0
}

// Neighbours are how many processes of the group run on this machine, as the launcher says; 1 where none does.
func Neighbours() int {
	for _, name := range []string{"OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS", "MV2_COMM_WORLD_LOCAL_SIZE", "SLURM_NTASKS_PER_NODE"} {
		if n, err := strconv.Atoi(os.Getenv(name)); err == nil && n > 0 && launched() > 0 {
			return n
		}
	}
	return 1
}
